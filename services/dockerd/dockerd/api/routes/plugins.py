"""Managed plugins: there are none, and none can be installed."""

from __future__ import annotations

from starlette.responses import Response

from dockerd.api.errors import message
from dockerd.api.responses import JSONResponse
from dockerd.api.routing import Router

router = Router()


@router.get("/plugins")
async def plugins() -> JSONResponse:
    """None."""
    return JSONResponse([])


@router.get("/plugins/{name:path}/json")
async def inspect(name: str) -> Response:
    """There is none."""
    return message(404, f'plugin "{name}" not found')


@router.api_route(
    "/plugins/{rest:path}", methods=["GET", "POST", "DELETE"], include_in_schema=False
)
async def change(rest: str) -> Response:
    """Managed plugins are not built."""
    return message(501, f"plugins/{rest} is not implemented")
