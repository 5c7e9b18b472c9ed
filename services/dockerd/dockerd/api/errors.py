"""Errors as Docker sends them: a status and {"message": …}."""

from __future__ import annotations

import json
import logging

from fastapi import Request
from starlette.responses import Response

from wire.errors import EngineError, ErrorKind
from wire.status import http_status

logger = logging.getLogger(__name__)


def message(status: int, text: str) -> Response:
    """The body of every failure."""
    return Response(
        json.dumps({"message": text}, ensure_ascii=False) + "\n",
        status,
        media_type="application/json",
    )


async def engine_error(_request: Request, error: Exception) -> Response:
    """An EngineError, by the table of kinds."""
    assert isinstance(error, EngineError)
    if error.kind is ErrorKind.NOT_MODIFIED:
        return Response(status_code=304)
    return message(http_status(error.kind), error.message)


async def unexpected(_request: Request, error: Exception) -> Response:
    """Anything else: logged here, once."""
    logger.error("request failed", exc_info=error)
    return message(500, f"{type(error).__name__}: {error}")
