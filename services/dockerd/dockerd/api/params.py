"""Query parameters in Docker's notations, and JSON bodies."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from typing import Any, Final

from fastapi import Request

from wire.errors import InvalidArgument

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(h|m|s|ms|us|ns)")
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def boolean(request: Request, name: str, *, default: bool = False) -> bool:
    """Docker's idea of true: anything but empty, 0, no, false, none."""
    text = request.query_params.get(name)
    if text is None:
        return default
    return text.strip().lower() not in {"", "0", "no", "false", "none"}


def integer(request: Request, name: str) -> int | None:
    """Raises InvalidArgument for text that is no number."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return None
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(f'strconv.Atoi: parsing "{text}": invalid syntax') from None


def filters(request: Request, known: frozenset[str] | None = None) -> dict[str, list[str]]:
    """``{"k": ["v"]}`` or ``{"k": {"v": true}}``; raises InvalidArgument for an unknown key."""
    text = request.query_params.get("filters")
    if not text:
        return {}
    try:
        document = json.loads(text)
        found = {
            key: list(values) if isinstance(values, list) else [v for v, on in values.items() if on]
            for key, values in document.items()
        }
    except (ValueError, AttributeError):
        raise InvalidArgument("invalid filter") from None
    for key in found:
        if known is not None and key not in known:
            raise InvalidArgument(f"invalid filter '{key}'")
    return found


def moment(text: str | None) -> float | None:
    """Seconds since 1970 from ``123.456``, RFC 3339, or a Go duration before now."""
    if not text or text == "0":
        return None
    try:
        return float(text)
    except ValueError:
        pass
    parts = _DURATION.findall(text)
    if parts and "".join(a + b for a, b in parts) == text:
        return time.time() - sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise InvalidArgument(f'invalid value for time: "{text}"') from None


async def body(request: Request, *, required: bool = True) -> dict[str, Any]:
    """The JSON object of a request; raises InvalidArgument in Docker's words."""
    data = await request.body()
    if not data.strip():
        if required:
            raise InvalidArgument("invalid JSON: got EOF while reading request body")
        return {}
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip() != "application/json":
        raise InvalidArgument(f"Content-Type specified ({kind}) must be 'application/json'")
    try:
        document = json.loads(data)
    except ValueError as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidArgument("invalid JSON: an object is needed")
    return document
