"""What containers use."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from dockerd.api import params
from dockerd.api.deps import Stats
from dockerd.api.routing import Router
from wire.errors import InvalidArgument

router = Router()


@router.get("/containers/{reference}/stats")
async def stats(reference: str, request: Request, reader: Stats) -> Response:
    """`docker stats`."""
    follow = params.boolean(request, "stream", default=True)
    one_shot = params.boolean(request, "one-shot")
    if follow and one_shot:
        raise InvalidArgument("cannot have stream=true and one-shot=true")
    samples = reader.stream(reference, follow=follow, one_shot=one_shot)

    async def lines() -> AsyncIterator[bytes]:
        async for sample in samples:
            yield json.dumps(sample).encode() + b"\n"

    return StreamingResponse(lines(), media_type="application/json")
