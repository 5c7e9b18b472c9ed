"""The files of containers."""

from __future__ import annotations

import base64
import json
from typing import Any

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from dockerd.api import params
from dockerd.api.deps import Archive, Diff
from dockerd.api.responses import JSONResponse
from dockerd.api.routing import Router

router = Router()

_TAR = "application/x-tar"


def _header(document: dict[str, Any]) -> dict[str, str]:
    text = base64.b64encode(json.dumps(document).encode()).decode()
    return {"X-Docker-Container-Path-Stat": text}


@router.head("/containers/{reference}/archive")
async def stat(reference: str, request: Request, archiver: Archive) -> Response:
    """What is at a path."""
    document = await archiver.stat(reference, params.text(request, "path"))
    return Response(headers=_header(document))


@router.get("/containers/{reference}/archive")
async def read(reference: str, request: Request, archiver: Archive) -> Response:
    """`docker cp` out of a container."""
    document, chunks = await archiver.read(reference, params.text(request, "path"))
    return StreamingResponse(chunks, headers=_header(document), media_type=_TAR)


@router.put("/containers/{reference}/archive")
async def write(reference: str, request: Request, archiver: Archive) -> Response:
    """`docker cp` into a container."""
    await archiver.write(
        reference,
        params.text(request, "path"),
        request.stream(),
        keep_kind=params.boolean(request, "noOverwriteDirNonDir"),
        own=params.boolean(request, "copyUIDGID"),
    )
    return Response(status_code=200)


@router.get("/containers/{reference}/export")
async def export(reference: str, archiver: Archive) -> Response:
    """`docker export`."""
    return StreamingResponse(
        await archiver.export(reference), media_type="application/octet-stream"
    )


@router.get("/containers/{reference}/changes")
async def changes(reference: str, differ: Diff) -> JSONResponse:
    """`docker diff`."""
    return JSONResponse(await differ.changes(reference) or None)
