"""Taking a connection away from HTTP: uvicorn's protocol with Docker's upgrade.

llhttp skips the body of a request that has an Upgrade header, but the docker CLI sends one with it. So the head of
each request is looked at before the parser sees it: the header is renamed, the body is read as any other, and what
follows it belongs to the stream.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dockerd.api.cork import Cork
from dockerd.api.tls import SecureTransport, identity
from dockerd.linux.sockets import note_answer

EXTENSION: Final = "dockyard.hijack"
PEER: Final = "dockyard.peer"
"""In a request's extensions: ``name`` and ``certificate`` (DER) of a client that proved who it is."""
_UPGRADE: Final = re.compile(rb"(?im)^upgrade:")
_LENGTH: Final = re.compile(rb"(?im)^content-length:[ \t]*(\d{1,18})[ \t]*\r")
_CODING: Final = re.compile(rb"(?im)^transfer-encoding:[ \t]*([^\r\n]*?)[ \t]*\r")
_STREAMED: Final = re.compile(
    rb"(?:POST (?:/v[0-9.]+)?/(?:containers/[^/ ]+/(?:attach|wait)|exec/[^/ ]+/start)"
    rb"|GET (?:/v[0-9.]+)?/containers/[^/ ]+/attach/ws)[? ]"
)
_LARGEST_HEAD: Final = 1 << 20
_LINGER: Final = 0.5
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"431 Request Header Fields Too Large"
)
_UNKNOWN_CODING: Final = (
    b"HTTP/1.1 501 Not Implemented\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"Unsupported transfer encoding"
)


class HijackProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose attach, wait and exec requests can be taken over."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = bytearray()
        self._in_head = True
        self._left = self._length = -1
        self._seen = False
        self._early = bytearray()
        self._refused = False
        self._read = self._answered = True
        self.taken = False
        self._peer: dict[str, Any] = {}
        self._in_body = False
        self._unproductive = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        super().connection_made(transport)
        self._peer = identity(transport)
        # Who connects has as long for the first head as between two requests: Docker's five minutes.
        self.timeout_keep_alive_task = asyncio.get_running_loop().call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def data_received(self, data: bytes) -> None:
        """Look at the head, then let the parser work."""
        while data and not self._refused and not self.transport.is_closing():
            if self.taken:
                self._early += data
                return
            data = self._next_head(data) if self._in_head else self._body(data)

    def _next_head(self, data: bytes) -> bytes:
        """Let the parser see a head once it is whole; what follows it."""
        # Only where it can be new: a head that comes byte by byte is not read again for each.
        start = max(0, len(self._head) - 3)
        self._head += data
        end = self._head.find(b"\r\n\r\n", start)
        if end < 0:
            if len(self._head) > _LARGEST_HEAD:
                self._refuse()
            return b""
        if end > _LARGEST_HEAD:
            self._refuse()
            return b""
        head, rest = bytes(self._head[: end + 4]), bytes(self._head[end + 4 :])
        self._head.clear()
        self._in_head = False
        self._left = self._length = -1
        codings = [each.lower() for each in _CODING.findall(head)]
        if codings not in ([], [b"chunked"]):
            # As Go's server: what we cannot decode must not be taken for something else.
            self._refuse(_UNKNOWN_CODING)
            return b""
        if not codings:
            found = _LENGTH.search(head)
            self._length = int(found[1]) if found else 0
            if _STREAMED.match(head):
                self._left = self._length
        self._seen = True
        super().data_received(_UPGRADE.sub(b"X-Upgrade:", head))
        return rest

    def _refuse(self, answer: bytes = _TOO_LARGE) -> None:
        """Answer, and read no further. As Go's server: what still comes is read for a while, or the client sees a reset."""
        self._refused = True
        self._head.clear()
        self.transport.write(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        asyncio.get_running_loop().call_later(_LINGER, self.transport.close)

    def _body(self, data: bytes) -> bytes:
        """Let the parser see what belongs to the request's body; what follows it, unless that belongs to a stream."""
        if self._left >= 0:
            own, more = data[: self._left], data[self._left :]
            self._left -= len(own)
            if more:
                # One read's worth: the rest waits in the socket for whoever takes it.
                self._early += more
                self.transport.pause_reading()
            if own:
                super().data_received(own)
            return b""
        own, rest = (
            (data[: self._length], data[self._length :]) if self._length > 0 else (data, b"")
        )
        self._length -= len(own)
        self._unproductive += len(own)
        super().data_received(own)
        if self._unproductive > _LARGEST_HEAD:
            self._refuse()
        return rest

    def on_message_begin(self) -> None:
        """A request begins."""
        if not self._seen:
            # Behind a chunked body, where nobody has looked at its head.
            raise ValueError("a request that does not wait for an answer")
        self._seen = False
        super().on_message_begin()
        self._read = self._answered = self._in_body = False
        self._unproductive = 0
        extensions: Any = self.scope.setdefault("extensions", {})
        extensions[EXTENSION] = {"take": self.take}
        extensions[PEER] = self._peer

    def on_headers_complete(self) -> None:
        """The head is whole: what else looks like a header is a trailer."""
        self._in_body = True
        super().on_headers_complete()
        # Its task has not begun yet.
        self.cycle.transport = Cork(self.transport, self.loop)  # type: ignore[assignment]

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. A trailer, which nobody has looked at before, is none."""
        if not self._in_body:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A part of the body; only what lies between such parts, extensions of chunks and trailers, has a limit."""
        self._unproductive = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is read; the next head may come."""
        super().on_message_complete()
        self._read = True
        if self._left < 0 or self._answered:
            self._expect_head()

    def on_response_complete(self) -> None:
        """A request that was not taken over has been answered, maybe before it was read: go on with the next after it."""
        self._answered = True
        if self._read:
            self._expect_head()
        super().on_response_complete()

    def _expect_head(self) -> None:
        self._in_head = True
        self._left = self._length = -1

    def take(self, head: bytes, keep: Keep | None = None) -> tuple[int, bytes]:
        """Write ``head`` and give the connection away: a descriptor of it, and the bytes that came already.

        ``keep`` is given both before the client can see the head. If we die in between, the copy it keeps has no note of an
        answer, and whoever finds it lets the client go, which then knows as much as if nothing had been kept.
        """
        cycle = self.cycle
        cycle.response_started = cycle.response_complete = cycle.disconnected = True
        cycle.message_event.set()
        cycle.on_response = _nothing
        self._unset_keepalive_if_required()
        self.taken = True
        early = bytes(self._early + self._head)
        self._early.clear()
        self._head.clear()
        if isinstance(self.transport, SecureTransport):
            self.connections.discard(self)
            # It does not outlive this process, so that nothing need be kept.
            return self.transport.lend(head), early
        self.transport.pause_reading()
        descriptor = os.dup(self.transport.get_extra_info("socket").fileno())
        os.set_blocking(descriptor, False)
        if keep is not None:
            keep(descriptor, early)
        view = memoryview(head)
        while view:
            view = view[os.write(descriptor, view) :]
        if keep is not None:
            note_answer(descriptor)
        # Only our descriptor is closed: the connection lives on in its duplicate.
        asyncio.get_running_loop().call_soon(self.transport.abort)
        return descriptor, early


def _nothing() -> None:
    """Nobody waits for the end of a response that HTTP does not see."""


Keep = Callable[[int, bytes], None]
Take = Callable[[bytes, Keep | None], tuple[int, bytes]]
