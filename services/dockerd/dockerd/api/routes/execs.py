"""Execs."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from dockerd.api import params, streams, versions
from dockerd.api.deps import Execs
from dockerd.api.responses import JSONResponse
from dockerd.api.routing import Router
from dockerd.containers import fields, handover

router = Router()


@router.post("/containers/{reference}/exec")
async def create(reference: str, request: Request, execs: Execs) -> JSONResponse:
    """`docker exec`, first half."""
    return JSONResponse({"Id": execs.create(reference, await params.body(request))}, 201)


@router.post("/exec/{exec_id}/start")
async def start(exec_id: str, request: Request, execs: Execs) -> Response:
    """`docker exec`, second half."""
    options = await params.body(request, required=False)
    fields.check_exec_start(options)
    found = execs.startable(exec_id, options.get("ConsoleSize"))
    if options.get("Detach"):
        await execs.start(found, message=None, client=None)
        return Response(status_code=200)
    # The start says how the client reads, as in Docker, whether or not the exec has a terminal.
    framed = not options.get("Tty")
    descriptor, early = streams.upgrade(request, framed=framed)
    message = handover.request(
        exec_id=exec_id, multiplexed=framed, early=early, logs=False, stream=True, **found.streams
    )  # fmt: skip
    await execs.start(found, message=message, client=descriptor)
    return streams.Taken()


@router.post("/exec/{exec_id}/resize")
async def resize(exec_id: str, request: Request, execs: Execs) -> Response:
    """The client's terminal has another size."""
    await execs.resize(exec_id, params.size(request, "h"), params.size(request, "w"))
    return Response(status_code=200)


@router.get("/exec/{exec_id}/json")
async def inspect(exec_id: str, request: Request, execs: Execs) -> JSONResponse:
    """How an exec stands."""
    return JSONResponse(
        versions.exec_document(await execs.inspect(exec_id), params.version(request))
    )
