"""Networks."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from dockerd.api import params, versions
from dockerd.api.deps import Connect, Networks
from dockerd.api.responses import JSONResponse
from dockerd.api.routing import Router
from dockerd.containers import fields

router = Router()


@router.get("/networks")
async def list_networks(request: Request, networks: Networks) -> JSONResponse:
    """`docker network ls`."""
    detailed = versions.lists_containers(params.version(request))
    return JSONResponse(networks.find(params.filters(request), containers=detailed))


@router.get("/networks/{reference}")
async def inspect(reference: str, networks: Networks) -> JSONResponse:
    """`docker network inspect`."""
    return JSONResponse(networks.inspect(reference))


@router.post("/networks/create")
async def create(request: Request, networks: Networks) -> JSONResponse:
    """`docker network create`."""
    version = params.version(request)
    document = versions.network_request(await params.body(request), version)
    namesakes = versions.allows_namesakes(document, version)
    return JSONResponse(await networks.create(document, namesakes=namesakes), 201)


@router.post("/networks/prune")
async def prune(request: Request, networks: Networks) -> JSONResponse:
    """`docker network prune`."""
    removed = await networks.prune(params.filters(request))
    return JSONResponse({"NetworksDeleted": removed or None})


@router.post("/networks/{reference}/connect")
async def connect(reference: str, request: Request, connector: Connect) -> Response:
    """`docker network connect`."""
    document = await params.body(request)
    fields.check_connect(document)
    endpoint = document.get("EndpointConfig") or {}
    await connector.connect(reference, document.get("Container") or "", endpoint)
    return Response(status_code=200)


@router.post("/networks/{reference}/disconnect")
async def disconnect(reference: str, request: Request, connector: Connect) -> Response:
    """`docker network disconnect`."""
    document = await params.body(request)
    fields.check_disconnect(document)
    await connector.disconnect(
        reference, document.get("Container") or "", force=bool(document.get("Force"))
    )
    return Response(status_code=200)


@router.delete("/networks/{reference}")
async def remove(reference: str, networks: Networks) -> Response:
    """`docker network rm`."""
    await networks.remove(reference)
    return Response(status_code=204)
