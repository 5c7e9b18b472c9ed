"""The output of containers."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import Request
from starlette.responses import StreamingResponse

from dockerd.api import params, stdcopy, streams
from dockerd.api.deps import Logs
from dockerd.api.routing import Router
from dockerd.containers.logs import LogRequest
from dockerd.fields import is_number

router = Router()


@router.get("/containers/{reference}/logs")
async def logs(reference: str, request: Request, reader: Logs) -> StreamingResponse:
    """`docker logs`."""
    container, records = reader.open(reference, _wanted(request))
    framed = not container.terminal

    async def chunks() -> AsyncIterator[bytes]:
        async for batch in records:
            yield stdcopy.joined(batch, framed=framed)

    return StreamingResponse(chunks(), media_type=streams.content_type(request, framed=framed))


def _wanted(request: Request) -> LogRequest:
    names = ("stdout", "stderr")
    tail = params.text(request, "tail")
    return LogRequest(
        streams=frozenset(name for name in names if params.boolean(request, name)),
        tail=int(tail) if is_number(tail) else None,
        since=params.when(request, "since"),
        # Clients that want no end send 0.
        until=params.when(request, "until") or None,
        timestamps=params.boolean(request, "timestamps"),
        details=params.boolean(request, "details"),
        follow=params.boolean(request, "follow"),
    )
