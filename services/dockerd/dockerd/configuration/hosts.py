"""Addresses of the API, as `-H` takes them, in one form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from dockerd.config import DEFAULT_SOCKET
from wire.errors import InvalidArgument

DEFAULT_PORT: Final = 2375
TLS_PORT: Final = 2376
_HOST: Final = "localhost"


def normalised(hosts: Iterable[str], *, tls: bool) -> tuple[str, ...]:
    """Each once and sorted, or where the API listens if nobody says; raises InvalidArgument."""
    return tuple(sorted({_parsed(each, tls=tls) for each in tuple(hosts) or ("",)}))


def _parsed(text: str, *, tls: bool) -> str:
    text = text.strip()
    if not text:
        return f"tcp://{_HOST}:{TLS_PORT}" if tls else f"unix://{DEFAULT_SOCKET}"
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "tcp", text
    match scheme:
        case "tcp":
            return _tcp(text, rest)
        case "unix":
            if "://" in rest:
                raise InvalidArgument(
                    f"invalid bind address ({text}): invalid unix address: {rest}"
                )
            return f"unix://{rest or DEFAULT_SOCKET}"
        case "fd":
            return text
        case _:
            raise InvalidArgument(f"invalid bind address ({text}): unsupported proto '{scheme}'")


def _tcp(text: str, rest: str) -> str:
    try:
        parts = urlsplit(f"//{rest}")
        port = parts.port
    except ValueError:
        raise InvalidArgument(
            f"invalid bind address ({text}): invalid port: {rest.rpartition(':')[2]}"
        ) from None
    if parts.path or parts.query or parts.fragment:
        raise InvalidArgument(f"invalid bind address ({text}): should not contain a path element")
    if parts.username is not None:
        raise InvalidArgument(f"invalid bind address ({text}): no user is wanted")
    if port == 0:
        raise InvalidArgument(f"invalid bind address ({text}): invalid port: 0")
    host = parts.hostname or _HOST
    return f"tcp://{f'[{host}]' if ':' in host else host}:{port or DEFAULT_PORT}"
