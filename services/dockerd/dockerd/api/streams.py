"""The heads of answers that are written by hand, on connections that HTTP gives up."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final, cast

from fastapi import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from dockerd.api.hijack import EXTENSION, Keep, Take
from dockerd.api.websocket import handshake

RAW: Final = "application/vnd.docker.raw-stream"
MULTIPLEXED: Final = "application/vnd.docker.multiplexed-stream"
URI: Final = "dockyard.uri"
"""In a request's scope: the path and query as the client sent them."""
HEADERS: Final = "dockyard.headers"
"""In a request's scope: the headers that every answer of the daemon has."""
_FRAMED_TYPE_SINCE: Final = (1, 42)
_BINARY_SINCE: Final = (1, 28)


class Taken(Response):
    """The connection belongs to somebody else now."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Nothing is sent."""


class WhileReading(StreamingResponse):
    """An answer that is written while the request's body is still read.

    Starlette's own would read the body, too, to notice that the client leaves.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what the iterator yields."""
        await self.stream_response(send)


def content_type(request: Request, *, framed: bool) -> str:
    """The media type of a stream for this client."""
    version = cast("tuple[int, int]", request.scope.get("api_version", _FRAMED_TYPE_SINCE))
    return MULTIPLEXED if framed and version >= _FRAMED_TYPE_SINCE else RAW


def upgrade(
    request: Request, *, framed: bool, keep: Callable[[int, str], None] | None = None
) -> tuple[int, str]:
    """Answer an attach or exec start and take the connection: its descriptor, and early bytes in base64.

    ``keep`` gets both before the client can see the answer.
    """
    if request.headers.get("x-upgrade"):
        head = (
            f"HTTP/1.1 101 UPGRADED\r\nContent-Type: {content_type(request, framed=framed)}\r\n"
            f"Connection: Upgrade\r\nUpgrade: tcp\r\n{_daemon(request)}\r\n"
        )
    else:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {RAW}\r\n{_daemon(request)}\r\n"
    take = _take(request)
    if keep is None:
        descriptor, early = take(head.encode(), None)
    else:
        descriptor, early = take(head.encode(), lambda copied, text: keep(copied, _text(text)))
    return descriptor, _text(early)


def upgrade_websocket(request: Request) -> tuple[int, bytes]:
    """Answer the opening handshake of a WebSocket and take the connection: its descriptor, and early bytes.

    Raises InvalidArgument for a request that is none, PermissionDenied for one of a foreign page.
    """
    head = handshake.head(handshake.accept(request.headers))
    return _take(request)(f"{head}{_daemon(request)}\r\n".encode(), None)


def binary_messages(request: Request) -> bool:
    """Whether this client is told of bytes; older ones were told of text."""
    version = cast("tuple[int, int]", request.scope.get("api_version", _BINARY_SINCE))
    return version >= _BINARY_SINCE


def begin_wait(request: Request, keep: Keep) -> int:
    """Send the head of a wait's answer; the descriptor on which its one chunk goes out later, which ``keep`` gets first."""
    head = (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        f"Connection: close\r\n{_daemon(request)}\r\n"
    )
    descriptor, _ = _take(request)(head.encode(), keep)
    return descriptor


def _text(early: bytes) -> str:
    return base64.b64encode(early).decode()


def _daemon(request: Request) -> str:
    headers = request.scope[HEADERS]
    return "".join(f"{name.decode().title()}: {value.decode()}\r\n" for name, value in headers)


def _take(request: Request) -> Take:
    extension: dict[str, Any] = request.scope["extensions"][EXTENSION]
    return cast("Take", extension["take"])
