"""Containers as things: list, create, inspect, change, remove."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from dockerd.api import container_versions, params, versions
from dockerd.api.deps import (
    Containers,
    Create,
    Inspect,
    List,
    Processes,
    Prune,
    Remove,
    Rename,
    Update,
)
from dockerd.api.responses import JSONResponse
from dockerd.api.routing import Router
from dockerd.containers import links
from dockerd.containers.errors import RemovalOfRunning
from dockerd.containers.fields import check_request
from dockerd.images import platforms

router = Router()


@router.get("/containers/json")
async def list_containers(request: Request, lister: List) -> JSONResponse:
    """`docker ps`."""
    found = await lister.find(
        params.filters(request),
        everything=params.boolean(request, "all"),
        limit=params.integer(request, "limit") or 0,
        sized=params.boolean(request, "size"),
    )
    version = params.version(request)
    return JSONResponse([container_versions.listed(each, version) for each in found])


@router.post("/containers/create")
async def create(request: Request, creator: Create) -> JSONResponse:
    """`docker create`."""
    document = await params.body(request)
    check_request(document)
    host = document.pop("HostConfig", None) or {}
    networking = document.pop("NetworkingConfig", None) or {}
    endpoints = networking["EndpointsConfig"] = networking.get("EndpointsConfig") or {}
    version = params.version(request)
    warned = container_versions.create_request(document, host, endpoints, version)
    name, text = params.text(request, "name"), params.text(request, "platform")
    platform = platforms.parse(text) if text else None
    container_id, warnings = await creator.create(
        name,
        document,
        host,
        networking,
        platform,
        recursive_read_only=container_versions.recursive_read_only(version),
    )
    return JSONResponse({"Id": container_id, "Warnings": [*warnings, *warned]}, 201)


@router.post("/containers/prune")
async def prune(request: Request, pruner: Prune) -> JSONResponse:
    """Remove all that are stopped."""
    removed, size = await pruner.prune(params.filters(request))
    return JSONResponse({"ContainersDeleted": removed or None, "SpaceReclaimed": size})


@router.get("/containers/{reference}/json")
async def inspect(reference: str, request: Request, inspector: Inspect) -> JSONResponse:
    """`docker inspect`."""
    version = params.version(request)
    found = await inspector.inspect(reference, sized=params.boolean(request, "size"))
    if container_versions.has_one_mac(version):
        found["Config"]["MacAddress"] = inspector.wanted_mac(reference)
    return JSONResponse(container_versions.inspected(found, version))


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


@router.delete("/containers/{reference:path}")
async def remove(
    reference: str, request: Request, remover: Remove, containers: Containers
) -> Response:
    """`docker rm`."""
    if params.boolean(request, "link"):
        links.remove(reference, containers)
        return Response(status_code=204)
    try:
        await remover.remove(
            reference, force=params.boolean(request, "force"), volumes=params.boolean(request, "v")
        )
    except RemovalOfRunning as error:
        raise versions.removal_refused(error, params.version(request)) from None
    return Response(status_code=204)
