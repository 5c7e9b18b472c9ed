"""Attached clients: connections that dockerd accepted and handed over, served here from then on.

One SEQPACKET message asks for it and brings the client's descriptor; the connection it came on stays open and tells when
the client is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
from binascii import a2b_base64

from shim.loop import HANGUP, READ, WRITE
from shim.succession import Refusal
from wire.errors import EngineError, InvalidArgument, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from shim.loop import Loop
    from shim.stdio.streams import Streams

_CHUNK: Final = 65536
_HIGH_WATER: Final = 1 << 20
_MESSAGE_LIMIT: Final = 1 << 20
_STREAM_NUMBERS: Final = {"stdout": 1, "stderr": 2}


class Client:
    """One client of one process: its output is a sink, its input goes to the process."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        streams: Streams,
        request: dict[str, Any],
        tell: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._socket = connection
        self._streams = streams
        self._tell = tell
        self._wanted = {name for name in ("stdout", "stderr") if request.get(name)}
        self._framed = request.get("framing") == "multiplexed"
        # As moby: without a terminal input is data, in which any bytes may stand.
        self._keys = bytes(request.get("detach_keys") or []) if streams.terminal else b""
        self._matched = 0
        self._output = bytearray()
        self._reading = bool(request.get("stdin")) and streams.wants_input
        self._open = True
        self._ending = False
        self._told_resume = False
        connection.setblocking(False)
        if request.get("logs") and streams.log is not None:
            streams.log.replay(self.write)
        if not request.get("stream", True):
            self.finish()
            return
        streams.sinks.append(self)
        early = a2b_base64(request.get("early") or "")
        if early and self._reading:
            self._input(early)
        self._watch()

    @property
    def full(self) -> bool:
        """Whether the process should wait for this client."""
        return self._open and len(self._output) >= _HIGH_WATER

    def write(self, stream: str, data: bytes) -> None:
        """Queue output for the client."""
        if not self._open or stream not in self._wanted:
            return
        if self._framed:
            self._output += struct.pack(">BxxxI", _STREAM_NUMBERS[stream], len(data))
        self._output += data
        self._flush()

    def finish(self) -> None:
        """No more output: close once everything is sent."""
        self._ending = True
        if self._open and not self._output:
            self._close("closed")

    def _watch(self) -> None:
        if self._open:
            events = (READ if self._reading else 0) | (WRITE if self._output else 0)
            self._loop.watch(self._socket.fileno(), events, self._ready)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if self._open and events & READ and self._reading:
            self._read()
        if self._open and events & HANGUP and not events & READ:
            self._close("closed")

    def _flush(self) -> None:
        was_full = self.full
        try:
            while self._output:
                del self._output[: self._socket.send(self._output[: 4 * _CHUNK])]
        except BlockingIOError:
            pass
        except OSError:
            self._close("closed")
            return
        if was_full and not self.full:
            self._loop.soon(self._streams.resume)
        if self._ending and not self._output:
            self._close("closed")
        elif (self._streams.sinks and self in self._streams.sinks) or self._ending:
            self._watch()

    def _read(self) -> None:
        if not self._streams.when_room(self._resume_reading):
            self._reading = False
            self._watch()
            return
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._close("closed")
            return
        if data:
            self._input(data)
            return
        # The client half-closed: its output goes on.
        self._reading = False
        if self._streams.stdin_once and not self._streams.terminal:
            self._streams.close_input()
        self._watch()

    def _resume_reading(self) -> None:
        if self._open:
            self._reading = True
            self._watch()

    def _input(self, data: bytes) -> None:
        if self._keys:
            passed, detached = self._without_detach(data)
            if passed:
                self._streams.write_input(passed)
            if detached:
                self._close("detached")
            return
        self._streams.write_input(data)

    def _without_detach(self, data: bytes) -> tuple[bytes, bool]:
        """Hold back a beginning of the detach keys; what follows decides whether it was one."""
        passed = bytearray()
        for byte in data:
            if byte == self._keys[self._matched]:
                self._matched += 1
                if self._matched == len(self._keys):
                    return bytes(passed), True
                continue
            passed += self._keys[: self._matched]
            self._matched = 1 if byte == self._keys[0] else 0
            if not self._matched:
                passed.append(byte)
        return bytes(passed), False

    def _close(self, event: str) -> None:
        if not self._open:
            return
        self._open = False
        self._loop.forget(self._socket.fileno())
        with contextlib.suppress(OSError):
            # The client may hold its side open; it must see the end although copies of the descriptor exist elsewhere.
            self._socket.shutdown(socket.SHUT_RDWR if event == "detached" else socket.SHUT_WR)
        self._socket.close()
        with contextlib.suppress(ValueError):
            self._streams.sinks.remove(self)
        self._loop.soon(self._streams.resume)
        self._tell(event)


class AttachListener:
    """The attach socket of one container, for its init process and its execs."""

    def __init__(
        self, loop: Loop, path: str, find: Callable[[str], Streams], listener: int = -1
    ) -> None:
        """``listener`` is a socket that another process has bound to ``path``; -1 to bind it here."""
        self._loop = loop
        self._path = path
        self._find = find
        self._connections: set[socket.socket] = set()
        self._listener = socket.socket(fileno=listener) if listener >= 0 else self._bind(path)
        loop.watch(self._listener.fileno(), READ, self._accept)

    @staticmethod
    def _bind(path: str) -> socket.socket:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        listener = socket.socket(
            socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        before = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(before)
        listener.listen(128)
        return listener

    def hand_over(self) -> int:
        """The listening descriptor, for another process; raises Refusal while somebody is connected."""
        if self._connections:
            raise Refusal
        return self._listener.fileno()

    def close(self) -> None:
        """Stop accepting; clients that are attached stay."""
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def _accept(self, _events: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        self._connections.add(connection)
        self._loop.watch(connection.fileno(), READ, lambda _events: self._read(connection))

    def _read(self, connection: socket.socket) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(
                connection, _MESSAGE_LIMIT, 1, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self._drop(connection)
            return
        clients = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        try:
            reply: dict[str, Any] = self._serve(connection, data, clients)
        except EngineError as error:
            for client in clients:
                client.close()
            reply = {"error": {"kind": str(error.kind), "message": error.message}}
        self._send(connection, reply)

    def _serve(
        self, connection: socket.socket, data: bytes, clients: list[socket.socket]
    ) -> dict[str, Any]:
        try:
            request = json.loads(data)
        except ValueError:
            raise InvalidArgument("attach request is not JSON") from None
        if not isinstance(request, dict) or request.get("op") != "attach" or len(clients) != 1:
            raise InvalidArgument("attach request needs op=attach and one descriptor")
        streams = self._find(str(request.get("exec") or ""))
        # The reply goes first: the client may end before this returns.
        self._loop.soon(lambda: self._begin(connection, clients[0], streams, request))
        return {"ok": True}

    def _begin(
        self,
        connection: socket.socket,
        client: socket.socket,
        streams: Streams,
        request: dict[str, Any],
    ) -> None:
        Client(
            self._loop,
            client,
            streams,
            request,
            lambda event: self._send(connection, {"event": event}),
        )

    def _send(self, connection: socket.socket, message: dict[str, Any]) -> None:
        if connection in self._connections:
            # dockerd may have gone; the client does not need it.
            with contextlib.suppress(OSError):
                connection.send(json.dumps(message).encode())

    def _drop(self, connection: socket.socket) -> None:
        self._connections.discard(connection)
        self._loop.forget(connection.fileno())
        connection.close()


def no_such_exec(exec_id: str) -> NotFound:
    """The error for an exec that does not exist (any more)."""
    return NotFound(f"process {exec_id}: not found")
