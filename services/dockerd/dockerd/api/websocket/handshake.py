"""The opening handshake, on a request that is HTTP until then."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from wire.errors import InvalidArgument, PermissionDenied

_VERSION: Final = "13"
_KEY_SIZE: Final = 16
_SALT: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept(headers: Headers) -> str:
    """The value of Sec-WebSocket-Accept; raises InvalidArgument for a request that is no handshake.

    Raises PermissionDenied for a page of another origin: a browser would let any page in on what its user may do.
    """
    upgrades = {each.strip().lower() for each in headers.get("connection", "").split(",")}
    if headers.get("x-upgrade", "").lower() != "websocket" or "upgrade" not in upgrades:
        raise InvalidArgument("not websocket protocol")
    if headers.get("sec-websocket-version") != _VERSION:
        raise InvalidArgument("missing or bad WebSocket Version")
    key = headers.get("sec-websocket-key", "")
    try:
        size = len(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if size != _KEY_SIZE:
        raise InvalidArgument("mismatch challenge/response")
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
        raise PermissionDenied(f"origin {origin} may not use this daemon")
    digest = hashlib.sha1(key.encode() + _SALT, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode()


def head(accepted: str) -> str:
    """The first lines of the answer."""
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accepted}\r\n"
    )
