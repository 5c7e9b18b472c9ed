"""The publisher: events reach containerd in order, and exits are never dropped, however long it is away."""

from __future__ import annotations

import contextlib
import socket
import time
from collections import deque

from shim.loop import HANGUP, READ, WRITE
from shim.messages import pack, timestamp
from wire.gen.containerd.types.event_msg import Envelope
from wire.gen.shim.events.v1.events_msg import ForwardRequest
from wire.gen.shim.ttrpc.request_msg import KeyValue, Request
from wire.ttrpc import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from shim.loop import Loop
    from wire.codec import Message

_NAMESPACE: Final = "containerd-namespace-ttrpc"

_SERVICE: Final = "containerd.services.events.ttrpc.v1.Events"
_LIMIT: Final = 4096
_FIRST_RETRY: Final = 0.05
_SLOWEST_RETRY: Final = 2.0
_KEPT: Final = frozenset({"/tasks/exit", "/tasks/oom", "/tasks/delete"})
_TOPICS: Final = {
    "TaskCreate": "/tasks/create",
    "TaskStart": "/tasks/start",
    "TaskOOM": "/tasks/oom",
    "TaskExit": "/tasks/exit",
    "TaskDelete": "/tasks/delete",
    "TaskExecAdded": "/tasks/exec-added",
    "TaskExecStarted": "/tasks/exec-started",
    "TaskPaused": "/tasks/paused",
    "TaskResumed": "/tasks/resumed",
    "TaskCheckpointed": "/tasks/checkpointed",
}


class Publisher:
    """Sends one event at a time over ttrpc and keeps the rest in a queue.

    While containerd is away nothing can announce its return, so a connection is tried with growing pauses, at most every
    two seconds, and only while there is something to send.
    """

    def __init__(self, loop: Loop, address: str, namespace: str) -> None:
        self._loop = loop
        self._address = address
        self._namespace = namespace
        self._queue: deque[tuple[str, bytes]] = deque()
        self._socket: socket.socket | None = None
        self._reader = frame.Reader()
        self._stream = 1
        self._in_flight = False
        self._retry = _FIRST_RETRY
        self._waiting = False
        self._output = bytearray()
        self._on_idle: Callable[[], None] | None = None

    def publish(self, event: Message) -> None:
        """Queue an event; its topic follows from its type."""
        topic = _TOPICS[type(event).__name__]
        envelope = Envelope(
            timestamp=timestamp(time.time_ns()),
            namespace=self._namespace,
            topic=topic,
            event=pack(event),
        )
        request = ForwardRequest(envelope=envelope)
        call = Request(
            service=_SERVICE,
            method="Forward",
            payload=request.SerializeToString(),
            timeout_nano=10_000_000_000,
            metadata=[KeyValue(key=_NAMESPACE, value=self._namespace)],
        )
        if len(self._queue) >= _LIMIT:
            self._drop_one()
        self._queue.append((topic, call.SerializeToString()))
        self._send()

    def _drop_one(self) -> None:
        for at, (topic, _) in enumerate(self._queue):
            # The first may be in flight.
            if at and topic not in _KEPT:
                del self._queue[at]
                return

    def _send(self) -> None:
        if self._in_flight or self._waiting or not self._queue:
            return
        if self._socket is None and not self._connect():
            return
        self._output = bytearray(frame.encode(self._stream, frame.REQUEST, self._queue[0][1]))
        self._stream += 2
        self._in_flight = True
        self._flush()

    def _connect(self) -> bool:
        # Never blocking: a containerd that is stopped, or whose backlog is full, must not hold up the container's output.
        connection = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        )
        try:
            connection.connect(self._address)
        except OSError:
            connection.close()
            self._again()
            return False
        self._socket = connection
        self._reader = frame.Reader()
        self._stream = 1
        self._loop.watch(connection.fileno(), READ, self._ready)
        return True

    def _flush(self) -> None:
        assert self._socket is not None
        try:
            while self._output:
                del self._output[: self._socket.send(self._output)]
        except BlockingIOError:
            self._loop.watch(self._socket.fileno(), READ | WRITE, self._ready)
            return
        except OSError:
            self._lost()
            return
        self._loop.watch(self._socket.fileno(), READ, self._ready)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if self._socket is None or not events & (READ | HANGUP):
            return
        try:
            data = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lost()
            return
        for _, kind, _, _ in self._reader.feed(data):
            if kind == frame.RESPONSE and self._in_flight:
                # A refusal is an answer, too: repeating it would change nothing.
                self._in_flight = False
                self._retry = _FIRST_RETRY
                self._queue.popleft()
                if not self._queue and self._on_idle is not None:
                    self._on_idle()
        self._send()

    @property
    def idle(self) -> bool:
        """Whether everything was acknowledged."""
        return not self._queue

    def when_idle(self, callback: Callable[[], None]) -> None:
        """Call back once everything was acknowledged, at once if it is."""
        if self._queue:
            self._on_idle = callback
        else:
            callback()

    def _lost(self) -> None:
        if self._socket is not None:
            self._loop.forget(self._socket.fileno())
            with contextlib.suppress(OSError):
                self._socket.close()
            self._socket = None
        self._in_flight = False
        if self._queue:
            self._again()

    def _again(self) -> None:
        self._waiting = True
        self._loop.later(self._retry, self._retry_now)
        self._retry = min(_SLOWEST_RETRY, self._retry * 2)

    def _retry_now(self) -> None:
        self._waiting = False
        self._send()
