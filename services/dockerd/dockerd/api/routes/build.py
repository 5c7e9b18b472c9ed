"""Building is not built yet; what there is to say about its cache is that it is empty."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import JSONResponse

router = APIRouter()


@router.post("/build/prune")
async def prune() -> JSONResponse:
    """`docker builder prune`, and a part of `docker system prune`."""
    return JSONResponse({"CachesDeleted": None, "SpaceReclaimed": 0})
