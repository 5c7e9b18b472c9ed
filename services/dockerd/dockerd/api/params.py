"""Query parameters in Docker's notations, and JSON bodies."""

from __future__ import annotations

import base64
from typing import Any, cast

from fastapi import Request

from dockerd.filters import Filters, InvalidFilter
from dockerd.moments import moment
from wire import jsontext
from wire.errors import InvalidArgument


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
    try:
        return int(value)
    except ValueError:
        raise InvalidArgument(f'strconv.Atoi: parsing "{value}": invalid syntax') from None


def size(request: Request, name: str) -> int:
    """Rows or columns of a terminal; raises InvalidArgument."""
    value = request.query_params.get(name) or ""
    if not value.isascii() or not value.isdigit() or int(value) >= 1 << 32:
        problem = "value out of range" if value.isdigit() else "invalid syntax"
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
    return document if document.get("username") or document.get("identitytoken") else None


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
        document = jsontext.loads(data)
    except ValueError as error:
        raise InvalidArgument(f"invalid JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidArgument("invalid JSON: an object is needed")
    return document
