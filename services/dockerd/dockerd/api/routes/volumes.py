"""Volumes."""

from __future__ import annotations

from typing import Final

from fastapi import Request
from starlette.responses import Response

from dockerd.api import params
from dockerd.api.deps import Volumes
from dockerd.api.responses import JSONResponse
from dockerd.api.routing import Router

router = Router()

# Older clients do not know the filter `all`, and mean all.
_ANONYMOUS_ONLY_SINCE: Final = (1, 42)


@router.get("/volumes")
async def list_volumes(request: Request, volumes: Volumes) -> JSONResponse:
    """`docker volume ls`."""
    found, warnings = await volumes.find(params.filters(request))
    return JSONResponse({"Volumes": found, "Warnings": warnings or None})


@router.post("/volumes/create")
async def create(request: Request, volumes: Volumes) -> JSONResponse:
    """`docker volume create`."""
    return JSONResponse(await volumes.create(await params.body(request)), 201)


@router.post("/volumes/prune")
async def prune(request: Request, volumes: Volumes) -> JSONResponse:
    """`docker volume prune`."""
    everything = request.scope["api_version"] < _ANONYMOUS_ONLY_SINCE
    removed, size = await volumes.prune(params.filters(request), everything=everything)
    return JSONResponse({"VolumesDeleted": removed, "SpaceReclaimed": size})


@router.get("/volumes/{name:path}")
async def inspect(name: str, volumes: Volumes) -> JSONResponse:
    """`docker volume inspect`."""
    return JSONResponse(await volumes.inspect(name))


@router.delete("/volumes/{name:path}")
async def remove(request: Request, name: str, volumes: Volumes) -> Response:
    """`docker volume rm`."""
    await volumes.remove(name, force=params.boolean(request, "force"))
    return Response(status_code=204)
