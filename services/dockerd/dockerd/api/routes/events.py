"""What happens, as it happens."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.responses import StreamingResponse

from dockerd.api import params
from dockerd.api.deps import Events
from dockerd.api.routing import Router
from dockerd.events.filters import wanted

router = Router()


@router.get("/events")
async def events(request: Request, bus: Events) -> StreamingResponse:
    """`docker events`: one JSON object a line."""
    filters = params.filters(request)
    since, until = params.when(request, "since"), params.when(request, "until")

    async def lines() -> AsyncIterator[bytes]:
        async for event in bus.listen(since, until):
            if wanted(event, filters):
                yield json.dumps(event).encode() + b"\n"

    return StreamingResponse(lines(), media_type="application/json")
