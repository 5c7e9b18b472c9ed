"""Volumes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from dockerd.api import params
from dockerd.api.deps import Containers, Events
from dockerd.volumes.store import ANONYMOUS_LABEL, Volume, VolumeStore
from wire.errors import InvalidArgument

router = APIRouter()


def _view(volume: Volume, store: VolumeStore) -> dict[str, Any]:
    return {
        "CreatedAt": volume.created,
        "Driver": "local",
        "Labels": volume.labels or None,
        "Mountpoint": store.path(volume.name),
        "Name": volume.name,
        "Options": volume.options or None,
        "Scope": "local",
    }


@router.get("/volumes")
async def list_volumes(request: Request, containers: Containers) -> JSONResponse:
    """`docker volume ls`."""
    wanted = params.filters(request, frozenset({"dangling", "driver", "label", "name"}))
    found = []
    for volume in containers.volumes.list():
        if "name" in wanted and not any(name in volume.name for name in wanted["name"]):
            continue
        if "driver" in wanted and "local" not in wanted["driver"]:
            continue
        if "dangling" in wanted:
            dangling = not containers.volume_users(volume.name)
            if dangling != (wanted["dangling"][0].lower() in {"1", "true"}):
                continue
        if not all(
            volume.labels.get(value.partition("=")[0]) == value.partition("=")[2]
            if "=" in value
            else value in volume.labels
            for value in wanted.get("label", [])
        ):
            continue
        found.append(_view(volume, containers.volumes))
    return JSONResponse({"Volumes": found, "Warnings": None})


@router.post("/volumes/create")
async def create(request: Request, containers: Containers, events: Events) -> JSONResponse:
    """`docker volume create`."""
    document = await params.body(request)
    driver = document.get("Driver") or "local"
    if driver != "local":
        raise InvalidArgument(
            f'error looking up volume plugin {driver}: plugin "{driver}" not found'
        )
    volume = containers.volumes.create(
        document.get("Name") or "", document.get("Labels"), document.get("DriverOpts")
    )
    events.publish("volume", "create", volume.name, {"driver": "local"})
    return JSONResponse(_view(volume, containers.volumes), 201)


@router.post("/volumes/prune")
async def prune(request: Request, containers: Containers, events: Events) -> JSONResponse:
    """Remove unused volumes: anonymous ones, or all with the filter `all`."""
    wanted = params.filters(request, frozenset({"all"}))
    everything = bool(wanted.get("all")) and wanted["all"][0].lower() in {"1", "true"}
    removed = []
    for volume in containers.volumes.list():
        if containers.volume_users(volume.name) or not (
            everything or ANONYMOUS_LABEL in volume.labels
        ):
            continue
        containers.volumes.remove(volume.name, set())
        events.publish("volume", "destroy", volume.name, {"driver": "local"})
        removed.append(volume.name)
    return JSONResponse({"VolumesDeleted": removed, "SpaceReclaimed": 0})


@router.get("/volumes/{name}")
async def inspect(name: str, containers: Containers) -> JSONResponse:
    """`docker volume inspect`."""
    return JSONResponse(_view(containers.volumes.get(name), containers.volumes))


@router.delete("/volumes/{name}")
async def remove(name: str, containers: Containers, events: Events) -> Response:
    """`docker volume rm`."""
    containers.volumes.remove(name, containers.volume_users(name))
    events.publish("volume", "destroy", name, {"driver": "local"})
    return Response(status_code=204)
