"""Query parameters in Docker's notations, and JSON bodies."""

from __future__ import annotations

import base64
import re
from typing import Any, Final, cast

from fastapi import Request

from dockerd.filters import Filters, InvalidFilter
from dockerd.moments import moment
from wire import jsontext
from wire.errors import InvalidArgument

# The kernel takes 2 MiB of arguments and environment; JSON may write a byte of it as six.
_LARGEST_BODY: Final = 16 << 20
_NUMBER: Final = re.compile(r"[+-]?[0-9]+")
_MOST_DIGITS: Final = 20
_LARGEST_NUMBER: Final = 1 << 63


def version(request: Request) -> tuple[int, int]:
    """The API version that the client speaks."""
    return cast("tuple[int, int]", request.scope["api_version"])


def boolean(request: Request, name: str, *, default: bool = False) -> bool:
    """Docker's idea of true: anything but empty, 0, no, false, none."""
    value = request.query_params.get(name)
    if value is None:
        return default
    return value.strip().lower() not in {"", "0", "no", "false", "none"}


def text(request: Request, name: str) -> str:
    """A parameter, empty if it is not there."""
    return request.query_params.get(name) or ""


def integer(request: Request, name: str) -> int | None:
    """Raises InvalidArgument for text that is no number."""
    value = request.query_params.get(name)
    if value is None or value == "":
        return None
    if not _NUMBER.fullmatch(value):
        raise InvalidArgument(f'strconv.Atoi: parsing "{value}": invalid syntax')
    if len(value) > _MOST_DIGITS or abs(int(value)) >= _LARGEST_NUMBER:
        raise InvalidArgument(f'strconv.Atoi: parsing "{value}": value out of range')
    return int(value)


def size(request: Request, name: str) -> int:
    """Rows or columns of a terminal; raises InvalidArgument."""
    value = request.query_params.get(name) or ""
    digits = value.isascii() and value.isdigit()
    if not digits or len(value) > _MOST_DIGITS or int(value) >= 1 << 32:
        problem = "value out of range" if digits else "invalid syntax"
        raise InvalidArgument(
            f'invalid resize {"height" if name == "h" else "width"} "{value}": {problem}'
        )
    return int(value)


def when(request: Request, name: str) -> float | None:
    """A point in time, in seconds since 1970; raises InvalidArgument."""
    return moment(request.query_params.get(name))


def filters(request: Request) -> Filters:
    """``{"k": ["v"]}`` or ``{"k": {"v": true}}``; raises InvalidFilter."""
    value = request.query_params.get("filters")
    if not value:
        return Filters()
    try:
        document = jsontext.loads(value)
        found = {
            key: list(values) if isinstance(values, list) else [v for v, on in values.items() if on]
            for key, values in document.items()
        }
    except (ValueError, AttributeError):
        raise InvalidFilter from None
    if not all(isinstance(value, str) for values in found.values() for value in values):
        raise InvalidFilter
    return Filters(found)


def registry_auth(request: Request) -> dict[str, str] | None:
    """The credentials of X-Registry-Auth, if it has any; raises InvalidArgument."""
    header = request.headers.get("x-registry-auth")
    if not header:
        return None
    try:
        document = jsontext.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except ValueError:
        raise InvalidArgument("invalid X-Registry-Auth header") from None
    if not isinstance(document, dict) or not all(
        isinstance(each, str | None) for each in document.values()
    ):
        raise InvalidArgument("invalid X-Registry-Auth header")
    known = any(document.get(key) for key in ("username", "identitytoken", "registrytoken"))
    return document if known else None


async def _read(request: Request) -> bytes:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > _LARGEST_BODY:
            raise InvalidArgument("invalid JSON: http: request body too large")
    return bytes(data)


async def body(request: Request, *, required: bool = True) -> dict[str, Any]:
    """The JSON object of a request; raises InvalidArgument in Docker's words."""
    data = await _read(request)
    if not data.strip():
        if required:
            raise InvalidArgument("invalid JSON: got EOF while reading request body")
        return {}
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip() != "application/json":
        raise InvalidArgument(f"Content-Type specified ({kind}) must be 'application/json'")
    try:
        document = jsontext.loads(data, unique=True)
    except ValueError as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    if document is None:
        # As in Go: nothing is filled in. The CLI of Docker 20.10 commits with it.
        return {}
    if not isinstance(document, dict):
        raise InvalidArgument("invalid JSON: an object is needed")
    return document
