"""Swarm is not built: its objects are refused in Docker's words, its beginnings by name."""

from __future__ import annotations

from typing import Final

from fastapi import Request
from starlette.responses import Response

from dockerd.api.errors import message
from dockerd.api.routing import Router

router = Router()

_NO_MANAGER: Final = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm'
    " and try again."
)
_OBJECTS: Final = ("services", "nodes", "tasks", "secrets", "configs")
_METHODS: Final = ["GET", "POST", "DELETE"]


@router.post("/swarm/init")
@router.post("/swarm/join")
async def begin(request: Request) -> Response:
    """A swarm cannot begin here."""
    verb = request.scope["path"].rpartition("/")[2]
    return message(501, f"swarm {verb} is not implemented")


@router.post("/swarm/leave")
async def leave() -> Response:
    """Nobody can leave what nobody has joined."""
    return message(503, "This node is not part of a swarm")


async def _refuse() -> Response:
    return message(503, _NO_MANAGER)


for _path in ("swarm", *_OBJECTS):
    for _suffix in ("", "/{rest:path}"):
        router.add_api_route(
            f"/{_path}{_suffix}", _refuse, methods=_METHODS, include_in_schema=False
        )
