"""Answers that are one JSON document."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticSerializationError, to_json
from starlette.responses import Response

from wire import jsontext


class JSONResponse(Response):
    """Starlette's, byte for byte, by an encoder that takes a third of the time."""

    media_type: str | None = "application/json"

    def render(self, content: Any) -> bytes:
        """The document; text that no encoder takes does not keep the rest from being shown."""
        try:
            return to_json(content)
        except PydanticSerializationError:
            return to_json(jsontext.mended(content))
