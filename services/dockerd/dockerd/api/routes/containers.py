"""Containers as things: list, create, inspect, change, remove."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from dockerd.api import params
from dockerd.api.deps import (
    Create,
    Inspect,
    List,
    Processes,
    Prune,
    Remove,
    Rename,
    Update,
)
from dockerd.containers.fields import check_request
from wire.errors import InvalidArgument

router = APIRouter()


@router.get("/containers/json")
async def list_containers(request: Request, lister: List) -> JSONResponse:
    """`docker ps`."""
    found = await lister.find(
        params.filters(request),
        everything=params.boolean(request, "all"),
        limit=params.integer(request, "limit") or 0,
        sized=params.boolean(request, "size"),
    )
    return JSONResponse(found)


@router.post("/containers/create")
async def create(request: Request, creator: Create) -> JSONResponse:
    """`docker create`."""
    document = await params.body(request)
    check_request(document)
    host = document.pop("HostConfig", None) or {}
    networking = document.pop("NetworkingConfig", None) or {}
    name = params.text(request, "name")
    platform = params.text(request, "platform")
    container_id, warnings = await creator.create(name, document, host, networking, platform)
    return JSONResponse({"Id": container_id, "Warnings": warnings}, 201)


@router.post("/containers/prune")
async def prune(request: Request, pruner: Prune) -> JSONResponse:
    """Remove all that are stopped."""
    removed, size = await pruner.prune(params.filters(request))
    return JSONResponse({"ContainersDeleted": removed or None, "SpaceReclaimed": size})


@router.get("/containers/{reference}/json")
async def inspect(reference: str, request: Request, inspector: Inspect) -> JSONResponse:
    """`docker inspect`."""
    return JSONResponse(await inspector.inspect(reference, sized=params.boolean(request, "size")))


@router.post("/containers/{reference}/rename")
async def rename(reference: str, request: Request, renamer: Rename) -> Response:
    """`docker rename`."""
    await renamer.rename(reference, params.text(request, "name"))
    return Response(status_code=204)


@router.post("/containers/{reference}/update")
async def update(reference: str, request: Request, updater: Update) -> JSONResponse:
    """`docker update`."""
    warnings = await updater.update(reference, await params.body(request))
    return JSONResponse({"Warnings": warnings or None})


@router.get("/containers/{reference}/top")
async def top(reference: str, request: Request, processes: Processes) -> JSONResponse:
    """`docker top`."""
    return JSONResponse(await processes.top(reference, params.text(request, "ps_args")))


@router.delete("/containers/{reference}")
async def remove(reference: str, request: Request, remover: Remove) -> Response:
    """`docker rm`."""
    if params.boolean(request, "link"):
        raise InvalidArgument("removing links is not supported")
    await remover.remove(
        reference, force=params.boolean(request, "force"), volumes=params.boolean(request, "v")
    )
    return Response(status_code=204)
