"""The daemon about itself, events, and what does not exist here."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from dockerd.api import params
from dockerd.api.deps import Containers, Events, Images, System
from dockerd.api.errors import message
from dockerd.containers.views import image_summary, summary

router = APIRouter()


@router.get("/_ping")
@router.head("/_ping")
async def ping(request: Request) -> Response:
    """The daemon lives."""
    headers = {
        "Builder-Version": "1",
        "Swarm": "inactive",
        "Cache-Control": "no-cache, no-store, must-revalidate",
        "Pragma": "no-cache",
    }
    return Response(
        "" if request.method == "HEAD" else "OK", headers=headers, media_type="text/plain"
    )


@router.get("/version")
async def version(system: System) -> JSONResponse:
    """Versions."""
    return JSONResponse(await system.version())


@router.get("/info")
async def info(system: System) -> JSONResponse:
    """Everything about the daemon."""
    return JSONResponse(await system.info())


@router.get("/events")
async def events(request: Request, bus: Events) -> StreamingResponse:
    """Events as they happen, one JSON object a line."""
    wanted = params.filters(request)
    since = params.moment(request.query_params.get("since"))
    until = params.moment(request.query_params.get("until"))

    async def lines() -> AsyncIterator[bytes]:
        async for event in bus.listen(since, until):
            if _matches(event, wanted):
                yield json.dumps(event).encode() + b"\n"

    return StreamingResponse(lines(), media_type="application/json")


def _matches(event: dict[str, Any], wanted: dict[str, list[str]]) -> bool:
    attributes = event["Actor"]["Attributes"]
    for key, values in wanted.items():
        if key == "event":
            found = any(
                event["Action"] == value or event["Action"].startswith(f"{value}:")
                for value in values
            )
        elif key == "type":
            found = event["Type"] in values
        elif key in {"container", "image", "volume", "network"}:
            names = (event["Actor"]["ID"], attributes.get("name"), attributes.get("image"))
            found = event["Type"] == key and any(
                value in names or event["Actor"]["ID"].startswith(value) for value in values
            )
        elif key == "label":
            found = all(
                attributes.get(value.partition("=")[0]) == value.partition("=")[2]
                if "=" in value
                else value in attributes
                for value in values
            )
        else:
            found = False
        if not found:
            return False
    return True


@router.get("/system/df")
async def disk_usage(containers: Containers, images: Images) -> JSONResponse:
    """What takes space."""
    found = await images.list()
    used = {container.image for container in containers.store}
    volumes = containers.volumes.list()
    return JSONResponse(
        {
            "LayersSize": sum(image.size for image in found),
            "Images": [image_summary(image, int(image.image_id in used)) for image in found],
            "Containers": [
                summary(container, containers.networks) for container in containers.store
            ],
            "Volumes": [
                {
                    "Name": volume.name,
                    "Driver": "local",
                    "Mountpoint": containers.volumes.path(volume.name),
                    "CreatedAt": volume.created,
                    "Labels": volume.labels,
                    "Scope": "local",
                    "Options": None,
                    "UsageData": {
                        "Size": -1,
                        "RefCount": len(containers.volume_users(volume.name)),
                    },
                }
                for volume in volumes
            ],
            "BuildCache": [],
        }
    )


@router.get("/plugins")
async def plugins() -> JSONResponse:
    """None."""
    return JSONResponse([])


@router.get("/plugins/{name:path}/json")
async def inspect_plugin(name: str) -> Response:
    """There is none."""
    return message(404, f'plugin "{name}" not found')


@router.api_route(
    "/plugins/{rest:path}", methods=["GET", "POST", "DELETE"], include_in_schema=False
)
async def change_plugin(rest: str) -> Response:
    """Managed plugins are not built."""
    return message(501, f"plugins/{rest} is not implemented")


_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect'
    " this node to swarm and try again."
)


@router.api_route("/swarm", methods=["GET"])
@router.api_route("/swarm/{rest:path}", methods=["GET", "POST"])
@router.api_route("/{kind}", methods=["GET"], name="swarm_objects", include_in_schema=False)
async def swarm(request: Request) -> Response:
    """Swarm is not built: its objects are refused in Docker's words, its beginnings by name."""
    path = request.scope["path"].strip("/")
    if path in {"swarm/init", "swarm/join"}:
        return message(501, f"{path.replace('/', ' ')} is not implemented")
    if path.partition("/")[0] in {"swarm", "services", "nodes", "tasks", "secrets", "configs"}:
        return message(503, _SWARM)
    return message(404, "page not found")
