"""What containers go through: start, stop, pause, and waiting for an end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any, Final

from fastapi import Request
from starlette.responses import Response

from dockerd.api import params, stdcopy, streams
from dockerd.api.deps import (
    Attach,
    Containers,
    Logs,
    Pause,
    PendingWaits,
    Resize,
    Restart,
    Start,
    Stop,
    WebSockets,
)
from dockerd.api.routing import Router
from dockerd.containers import handover
from dockerd.containers.logs import LogRequest
from dockerd.containers.model import Container
from dockerd.containers.wait import condition_of
from wire.errors import EngineError, InvalidArgument
from wire.status import error_for

router = Router()
_STREAMS: Final = ("stdin", "stdout", "stderr")
_STREAMS_CHOSEN_SINCE: Final = (1, 42)
"""Before, a WebSocket had all three streams."""


@router.post("/containers/{reference}/start")
async def start(reference: str, request: Request, starter: Start) -> Response:
    """`docker start`."""
    if params.text(request, "checkpoint") or params.text(request, "checkpoint-dir"):
        raise InvalidArgument("checkpoint is not supported")
    await starter.start(reference)
    return Response(status_code=204)


@router.post("/containers/{reference}/stop")
async def stop(reference: str, request: Request, stopper: Stop) -> Response:
    """`docker stop`."""
    await stopper.stop(reference, params.integer(request, "t"), params.text(request, "signal"))
    return Response(status_code=204)


@router.post("/containers/{reference}/restart")
async def restart(reference: str, request: Request, restarter: Restart) -> Response:
    """`docker restart`."""
    await restarter.restart(reference, params.integer(request, "t"), params.text(request, "signal"))
    return Response(status_code=204)


@router.post("/containers/{reference}/kill")
async def kill(reference: str, request: Request, stopper: Stop) -> Response:
    """`docker kill`."""
    try:
        await stopper.kill(reference, params.text(request, "signal"))
    except EngineError as error:
        text = f"cannot kill container: {reference}: {error.message}"
        raise error_for(error.kind, text, error.reason, error.details) from error
    return Response(status_code=204)


@router.post("/containers/{reference}/pause")
async def pause(reference: str, pauser: Pause) -> Response:
    """`docker pause`."""
    await pauser.pause(reference)
    return Response(status_code=204)


@router.post("/containers/{reference}/unpause")
async def unpause(reference: str, pauser: Pause) -> Response:
    """`docker unpause`."""
    await pauser.unpause(reference)
    return Response(status_code=204)


@router.post("/containers/{reference}/resize")
async def resize(reference: str, request: Request, resizer: Resize) -> Response:
    """The client's terminal has another size."""
    await resizer.resize(reference, params.size(request, "h"), params.size(request, "w"))
    return Response(status_code=200)


@router.post("/containers/{reference}/wait")
async def wait(
    reference: str, request: Request, containers: Containers, waits: PendingWaits
) -> Response:
    """Answered when the condition holds, by this daemon or the next."""
    container = containers.get(reference)
    condition = condition_of(params.text(request, "condition"))
    name = waits.name(container.container_id, condition)
    descriptor = streams.begin_wait(request, lambda copied, _early: waits.keep(name, copied))
    waits.begin(name, descriptor)
    return streams.Taken()


@router.post("/containers/{reference}/attach")
async def attach(reference: str, request: Request, attacher: Attach, reader: Logs) -> Response:
    """The client's connection goes to the shim."""
    container = attacher.attachable(reference)
    framed = not container.terminal
    wanted = _wanted(request)
    keys = handover.detach_keys(params.text(request, "detachKeys"))
    if not wanted["stream"]:
        records = _records(container, reader, wanted)
        descriptor, _ = streams.upgrade(request, framed=framed)
        return await _replay(records, descriptor, framed=framed)

    def message(early: str) -> dict[str, Any]:
        return handover.request(
            exec_id="", multiplexed=framed, detach_keys=keys, early=early, **wanted
        )

    await attacher.attach(
        container,
        message,
        lambda keep: streams.upgrade(request, framed=framed, keep=keep),
    )
    return streams.Taken()


@router.get("/containers/{reference}/attach/ws")
async def attach_by_websocket(
    reference: str, request: Request, attacher: Attach, reader: Logs, websockets: WebSockets
) -> Response:
    """The client's messages go to the shim and back, in no framing but that of the WebSocket."""
    container = attacher.attachable(reference)
    wanted = _wanted(request)
    if request.scope["api_version"] < _STREAMS_CHOSEN_SINCE:
        wanted |= dict.fromkeys(_STREAMS, True)
    keys = handover.detach_keys(params.text(request, "detachKeys"))
    records = None if wanted["stream"] else _records(container, reader, wanted)
    client, early = streams.upgrade_websocket(request)
    descriptor = websockets.begin(client, early, binary=streams.binary_messages(request))
    if records is not None:
        return await _replay(records, descriptor, framed=False)
    message = handover.request(exec_id="", multiplexed=False, detach_keys=keys, early="", **wanted)
    # Its frames are ours to unwrap, so that it ends with this process: nothing is kept.
    await attacher.attach(container, lambda _early: message, lambda _keep: (descriptor, ""))
    return streams.Taken()


def _wanted(request: Request) -> dict[str, bool]:
    return {name: params.boolean(request, name) for name in (*_STREAMS, "logs", "stream")}


def _records(
    container: Container, reader: Logs, wanted: dict[str, bool]
) -> AsyncIterator[list[tuple[str, bytes]]]:
    """The logs so far, if they are wanted; raises what reading them raises."""
    named = frozenset(name for name in ("stdout", "stderr") if wanted[name])
    if not wanted["logs"] or not named:
        return _no_records()
    return reader.open(container.container_id, LogRequest(streams=named))[1]


async def _replay(
    records: AsyncIterator[list[tuple[str, bytes]]], descriptor: int, *, framed: bool
) -> Response:
    """An attach without a stream: what there is already, and the end."""
    with socket.socket(fileno=descriptor) as client, contextlib.suppress(OSError):
        client.setblocking(False)
        await handover.head_read(descriptor)
        async for batch in records:
            data = stdcopy.joined(batch, framed=framed)
            await asyncio.get_running_loop().sock_sendall(client, data)
    return streams.Taken()


async def _no_records() -> AsyncIterator[list[tuple[str, bytes]]]:
    return
    yield
