"""Networks."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from dockerd.api import params
from dockerd.api.deps import Networks
from wire.errors import NotImplementedYet

router = APIRouter()


@router.get("/networks")
async def list_networks(request: Request, networks: Networks) -> JSONResponse:
    """`docker network ls`."""
    return JSONResponse(networks.find(params.filters(request)))


@router.get("/networks/{reference}")
async def inspect(reference: str, networks: Networks) -> JSONResponse:
    """`docker network inspect`."""
    return JSONResponse(networks.inspect(reference))


@router.post("/networks/create")
async def create(request: Request, networks: Networks) -> Response:
    """User-defined networks are not built yet."""
    await networks.create(await params.body(request))
    return Response(status_code=201)


@router.post("/networks/prune")
async def prune() -> JSONResponse:
    """There are predefined networks only, and they stay."""
    return JSONResponse({"NetworksDeleted": None})


@router.post("/networks/{reference}/{verb}")
async def connect(reference: str, verb: str, networks: Networks) -> Response:
    """Connecting running containers is not built yet."""
    networks.inspect(reference)
    raise NotImplementedYet(f"network {verb} is not implemented yet")


@router.delete("/networks/{reference}")
async def remove(reference: str, networks: Networks) -> Response:
    """Predefined networks stay."""
    await networks.remove(reference)
    return Response(status_code=204)
