"""Messages to a log daemon elsewhere, over a socket that never holds up the shim.

While the other side is away, what does not fit into a buffer is dropped and counted, and a connection is tried again.
While it is slow, a log that blocks is full, so that its container waits; one that does not drops what has no room.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import select
import socket
import time
from collections import deque

from shim import log
from shim.loop import HANGUP, READ, WRITE, Future
from wire.errors import FailedPrecondition

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import Any, Final

    from shim.loop import Loop

ROOM: Final = 1_000_000
"""Bytes that are kept by default, Docker's."""
_HIGH_WATER: Final = 65536
_MOST_AT_ONCE: Final = 512
_PATIENCE: Final = 30.0
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
_LAST_PATIENCE: Final = 1.0
_AGAIN: Final = frozenset({errno.EAGAIN, errno.ENOBUFS})


class Address:
    """Where messages go. ``network`` is unix, unixgram, udp, tcp or tcp+tls; ``context`` is for the last one."""

    __slots__ = ("context", "host", "network", "port")

    def __init__(
        self, network: str, host: str, port: int = 0, context: ssl.SSLContext | None = None
    ) -> None:
        self.network = network
        self.host = host
        self.port = port
        self.context = context

    @property
    def datagrams(self) -> bool:
        """Whether each message is a packet."""
        return self.network in {"udp", "unixgram"}

    def __str__(self) -> str:
        name = "tcp" if self.network == "tcp+tls" else self.network
        return f"{name} {self.host}:{self.port}" if self.port else f"{name} {self.host}"

    def open(self) -> tuple[socket.socket, Any]:
        """A socket and what to connect it to; raises OSError."""
        flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        kind = (socket.SOCK_DGRAM if self.datagrams else socket.SOCK_STREAM) | flags
        if not self.port:
            return socket.socket(socket.AF_UNIX, kind), self.host
        found = socket.getaddrinfo(self.host, self.port, type=kind & ~flags)
        family, _, protocol, _, target = found[0]
        return socket.socket(family, kind, protocol), target


class Remote:
    """A queue of messages and the socket that they leave by."""

    def __init__(
        self,
        loop: Loop,
        address: Address,
        *,
        blocking: bool,
        room: int,
        resume: Callable[[], None],
        oversized: Callable[[socket.socket, bytes], None] | None = None,
    ) -> None:
        """``oversized`` sends a datagram that is too large for the socket."""
        self._loop = loop
        self._address = address
        self._blocking = blocking
        self._room = room
        self._resume = resume
        self._oversized = oversized
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._offset = 0
        self._socket: socket.socket | None = None
        self._connected = False
        self._waiting = False
        self._failing = False
        self._pause = _FIRST_PAUSE
        self._first: Future[None] | None = None
        self._closed = False
        self.dropped = 0

    @property
    def full(self) -> bool:
        """Whether the container should wait."""
        return self._blocking and self._connected and self._queued >= _HIGH_WATER

    @property
    def idle(self) -> bool:
        """Whether everything has left."""
        return not self._queue

    async def ready(self) -> None:
        """Connect; raises FailedPrecondition in Docker's words."""
        self._first = Future()
        self._loop.later(_PATIENCE, self._late)
        self._begin()
        try:
            await self._first
        finally:
            self._first = None

    def put(self, message: bytes) -> None:
        """Queue one message; ``send`` follows."""
        unlimited = self._blocking and self._connected
        if not unlimited and self._queued + len(message) > self._room:
            self.dropped += len(message)
            return
        self._queue.append(message)
        self._queued += len(message)

    def send(self) -> None:
        """Send what is queued, as far as it goes."""
        if not self._queue:
            return
        if self._connected:
            if not self._waiting:
                self._flush()
        elif self._socket is None and not self._waiting:
            self._begin()

    def close(self) -> None:
        """Send what is left, for a moment, and close."""
        self._closed = True
        deadline = time.monotonic() + _LAST_PATIENCE
        if self._socket is None and self._queue:
            self._begin()
        while self._queue and self._socket is not None and time.monotonic() < deadline:
            poll = select.poll()
            poll.register(self._socket, select.POLLOUT)
            if poll.poll(max(1, int((deadline - time.monotonic()) * 1000))):
                self._ready(WRITE)
        self.dropped += self._queued
        self._drop_socket()
        if self.dropped:
            log.warning("log incomplete", address=str(self._address), dropped=self.dropped)

    # -- connecting

    def _begin(self) -> None:
        self._waiting = False
        try:
            self._socket, target = self._address.open()
            code = self._socket.connect_ex(target)
        except OSError as error:
            self._failed(error)
            return
        if code in {0, errno.EINPROGRESS}:
            if code == 0 and self._address.context is None:
                self._up()
            else:
                self._loop.watch(self._socket.fileno(), WRITE, self._connecting)
        else:
            # EAGAIN: the backlog of a Unix socket is full.
            self._failed(OSError(code, os.strerror(code)))

    def _connecting(self, _events: int) -> None:
        if self._socket is None:
            return
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._failed(OSError(code, os.strerror(code)))
        elif self._address.context is not None:
            self._loop.forget(self._socket.fileno())
            self._socket = self._address.context.wrap_socket(
                self._socket, do_handshake_on_connect=False, server_hostname=self._address.host
            )
            self._handshake(0)
        else:
            self._up()

    def _handshake(self, _events: int) -> None:
        import ssl

        secured = self._socket
        if not isinstance(secured, ssl.SSLSocket):
            return
        try:
            secured.do_handshake()
        except ssl.SSLWantReadError:
            self._loop.watch(secured.fileno(), READ, self._handshake)
        except ssl.SSLWantWriteError:
            self._loop.watch(secured.fileno(), WRITE, self._handshake)
        except OSError as error:
            self._failed(error)
        else:
            self._up()

    def _up(self) -> None:
        self._connected = True
        self._pause = _FIRST_PAUSE
        if self._failing:
            self._failing = False
            log.warning("log daemon is back", address=str(self._address), dropped=self.dropped)
        if self._first is not None:
            self._first.set(None)
        self._flush()

    def _late(self) -> None:
        if self._first is not None and not self._connected:
            self._failed(TimeoutError(errno.ETIMEDOUT, "connection timed out"))

    def _failed(self, error: OSError) -> None:
        """There is no connection, or none any more."""
        if self._first is not None and not self._connected:
            self._drop_socket()
            self._first.fail(FailedPrecondition(_words(self._address, error)))
            return
        self._drop_socket()
        if not self._failing:
            self._failing = True
            log.warning("log daemon is away", error=_words(self._address, error))
        if self._queued > self._room:
            self._shrink()
        if self._queue and not self._closed:
            self._waiting = True
            self._loop.later(self._pause, self._again)
            self._pause = min(_LONGEST_PAUSE, self._pause * 2)
        self._loop.soon(self._resume)

    def _again(self) -> None:
        if self._waiting and self._socket is None and not self._closed:
            self._begin()

    def _shrink(self) -> None:
        while self._queued > self._room:
            message = self._queue.pop()
            self._queued -= len(message)
            self.dropped += len(message)

    def _drop_socket(self) -> None:
        self._connected = self._waiting = False
        # A message of which a part has gone is sent again as a whole.
        self._offset = 0
        if self._socket is not None:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None

    # -- sending

    def _ready(self, events: int) -> None:
        if self._socket is None:
            return
        if not self._connected:
            self._connecting(events)
            return
        if events & (READ | HANGUP):
            try:
                gone = not self._address.datagrams and not self._socket.recv(4096)
            except OSError as error:
                gone = not _is_for_later(error)
            if gone:
                self._failed(ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)))
                return
        self._flush()

    def _flush(self) -> None:
        was_full = self.full
        try:
            while self._queue and self._socket is not None:
                if self._address.datagrams:
                    self._send_packet(self._socket, self._queue[0])
                    self._forget_first()
                else:
                    self._send_some(self._socket)
        except OSError as error:
            if not _is_for_later(error):
                self._failed(error)
                return
            self._waiting = True
        else:
            self._waiting = False
        if self._socket is not None and (self._waiting or not self._address.datagrams):
            events = READ | WRITE if self._waiting else READ
            self._loop.watch(self._socket.fileno(), events, self._ready)
        elif self._socket is not None:
            self._loop.forget(self._socket.fileno())
        if was_full and not self.full:
            self._loop.soon(self._resume)

    def _send_some(self, connection: socket.socket) -> None:
        first, *others = itertools.islice(self._queue, _MOST_AT_ONCE)
        parts: list[bytes | memoryview] = [memoryview(first)[self._offset :], *others]
        secured = self._address.context is not None
        self._offset += connection.send(b"".join(parts)) if secured else connection.sendmsg(parts)
        while self._queue and self._offset >= len(self._queue[0]):
            self._offset -= len(self._queue[0])
            self._forget_first()

    def _send_packet(self, connection: socket.socket, message: bytes) -> None:
        try:
            connection.send(message)
        except ConnectionRefusedError:
            if self._address.network != "udp":
                raise
            # Of an earlier packet: nobody listened then.
            with contextlib.suppress(ConnectionRefusedError):
                connection.send(message)
        except OSError as error:
            if error.errno not in {errno.EMSGSIZE, errno.ENOBUFS}:
                raise
            if self._oversized is None:
                self.dropped += len(message)
            else:
                self._oversized(connection, message)

    def _forget_first(self) -> None:
        self._queued -= len(self._queue.popleft())


def _is_for_later(error: OSError) -> bool:
    # ssl.SSLWantReadError and its twin are OSErrors with numbers of their own.
    return error.errno in _AGAIN or type(error).__name__ in {
        "SSLWantReadError",
        "SSLWantWriteError",
    }


def _words(address: Address, error: OSError) -> str:
    text = (error.strerror or str(error)).lower()
    return f"failed to initialize logging driver: dial {address}: connect: {text}"
