"""Whether the daemon lives."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import Response

from dockerd.api.routing import Router

router = Router()


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
    content = "" if request.method == "HEAD" else "OK"
    return Response(content, headers=headers, media_type="text/plain")
