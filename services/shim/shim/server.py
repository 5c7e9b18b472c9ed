"""The composition root of a serving shim: socket, ttrpc, task service, exits, events."""

from __future__ import annotations

import contextlib
import os
import signal
import socket

from shim import linux, log, sandbox_service, succession, trace
from shim.events import Publisher
from shim.exits import Exits
from shim.loop import HANGUP, READ, WRITE, Loop
from shim.sandbox_service import SandboxService
from shim.task_service import TaskService
from wire.errors import EngineError, Internal
from wire.ttrpc.connection import Call, Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Final

    from shim.loop import Future
    from shim.task_service import Answer
    from wire.codec import Message

_CHUNK: Final = 65536
_GOODBYE: Final = 0.05
# Without a connection, a shim is one that nobody will ever ask for anything if it has no container, or if none of its
# containers lives and nobody could find it.
_LONELY: Final = 30.0
# Calls that may be pending while a container changes hands.
_LASTING: Final = frozenset({"Wait"})


class Settings:
    """What a shim must know to serve."""

    __slots__ = ("address", "namespace", "socket_dir", "ttrpc_address")

    def __init__(
        self, *, namespace: str, socket_dir: str, address: str, ttrpc_address: str
    ) -> None:
        self.namespace = namespace
        self.socket_dir = socket_dir
        self.address = address
        self.ttrpc_address = ttrpc_address


def run(listener: socket.socket, settings: Settings) -> None:
    """Serve on a bound listener until shut down: by a worker, then by this process (shim.succession).

    The process must have one thread.
    """
    linux.become_subreaper()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # A shim ends when its container is deleted; whoever stops daemons does not mean it.
        linux.set_signal(number, linux.IGNORED)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    keeper = os.getpid()
    worker = os.fork()
    if worker == 0:
        ours.close()
        linux.become_subreaper()
        linux.die_with_parent()
        if os.getppid() == keeper:
            _serve(listener, settings, keeper=theirs)
        return
    theirs.close()
    found, descriptors = succession.receive(ours)
    ours.close()
    os.waitpid(worker, 0)
    if found is not None:
        epoll = descriptors.pop(0)
        if found["container"]["child"]:
            succession.rest(epoll)
        os.close(epoll)
    _serve(listener, settings, found=found, descriptors=descriptors)


def _serve(
    listener: socket.socket,
    settings: Settings,
    *,
    keeper: socket.socket | None = None,
    found: dict[str, Any] | None = None,
    descriptors: Iterable[int] = (),
) -> None:
    loop = Loop()
    exits = Exits(loop)
    publisher = Publisher(loop, settings.ttrpc_address, settings.namespace)

    own = os.stat(settings.address).st_ino

    def findable() -> bool:
        try:
            # The path may be a successor's by now.
            return os.stat(settings.address).st_ino == own
        except FileNotFoundError:
            return False

    def unlink() -> None:
        if findable():
            os.unlink(settings.address)

    def shut_down() -> None:
        if not sandboxes.empty:
            # It ends with its sandbox, not with a container in that.
            return
        unlink()
        # The answer to Shutdown is on its way; events that containerd has not taken yet hold us here.
        loop.later(_GOODBYE, lambda: publisher.when_idle(loop.stop))

    service = TaskService(
        loop,
        exits,
        publisher,
        namespace=settings.namespace,
        socket_dir=settings.socket_dir,
        socket=settings.address,
        shut_down=shut_down,
        ended=lambda: loop.later(_LONELY, lonely),
    )
    sandboxes = SandboxService(
        loop,
        exits,
        service,
        namespace=settings.namespace,
        socket_dir=settings.socket_dir,
        socket=settings.address,
        shut_down=shut_down,
        ended=lambda: loop.later(_LONELY, lonely),
    )

    def dispatch(name: str, method: str, payload: bytes) -> Answer:
        if name == sandbox_service.SERVICE:
            return sandboxes.dispatch(method, payload)
        return service.dispatch(name, method, payload)

    sessions: set[Session] = set()

    def describe(descriptors: list[int]) -> dict[str, Any]:
        if not sandboxes.empty:
            raise succession.Refusal
        return {
            "sessions": [session.hand_over(descriptors) for session in sessions],
            "container": service.hand_over(descriptors),
        }

    worker = succession.Worker(loop, keeper, describe) if keeper is not None else None
    answered = worker.touch if worker is not None else _nothing

    def lonely() -> None:
        empty = service.empty and sandboxes.empty
        living = service.living or sandboxes.living
        if not sessions and (empty or not (living or findable())):
            log.warning("nobody wants this shim")
            unlink()
            loop.stop()

    def closed(session: Session) -> None:
        sessions.discard(session)
        if not sessions:
            loop.later(_LONELY, lonely)

    def accept(_events: int) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            sessions.add(Session(loop, connection, dispatch, closed, answered))

    if found is None:
        service.adopt(os.getcwd())
        sandboxes.adopt(os.getcwd())
    else:
        handed = iter(descriptors)
        taken = [(socket.socket(fileno=next(handed)), each) for each in found["sessions"]]
        service.take_over(found["container"], handed)
        for connection, each in taken:
            session = Session(loop, connection, dispatch, closed, answered)
            sessions.add(session)
            session.take_over(each)
    listener.setblocking(False)
    loop.watch(listener.fileno(), READ, accept)
    # Whoever asked for this shim may have died before it could use it.
    loop.later(_LONELY, lonely)
    # What ended while the container changed hands was told to a process that did not listen yet.
    loop.soon(exits.reap)
    loop.run()
    if worker is not None:
        worker.end()


def _nothing() -> None:
    """There is nobody to hand over to."""


class Session:
    """One ttrpc connection."""

    def __init__(
        self,
        loop: Loop,
        connection: socket.socket,
        dispatch: Callable[[str, str, bytes], Answer],
        closed: Callable[[Session], None],
        answered: Callable[[], None],
    ) -> None:
        connection.setblocking(False)
        self._closed = closed
        self._loop = loop
        self._socket = connection
        self._dispatch = dispatch
        self._protocol = Connection()
        self._output = bytearray()
        self._pending: dict[int, Call] = {}
        self._answered = answered
        self._open = True
        loop.watch(connection.fileno(), READ, self._ready)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if self._open and events & (READ | HANGUP):
            self._read()

    def _read(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close()
            return
        calls, replies = self._protocol.feed(data)
        self._send(replies)
        for call in calls:
            self._serve(call)

    def hand_over(self, descriptors: list[int]) -> dict[str, Any]:
        """What another process needs to go on with the connection; raises Refusal while anything is under way."""
        calls = list(self._pending.values())
        if self._output or not self._protocol.between_frames:
            raise succession.Refusal
        if any(call.method not in _LASTING for call in calls):
            raise succession.Refusal
        descriptors.append(self._socket.fileno())
        return {
            "last": self._protocol.last_stream,
            "calls": [
                (call.stream_id, call.service, call.method, call.payload.decode("latin-1"))
                for call in calls
            ],
        }

    def take_over(self, found: dict[str, Any]) -> None:
        """Go on with the connection of another process; its calls are answered here."""
        self._protocol.resume(found["last"])
        for stream_id, service, method, payload in found["calls"]:
            self._serve(
                Call(
                    stream_id=stream_id,
                    service=service,
                    method=method,
                    payload=payload.encode("latin-1"),
                    timeout_nano=0,
                    metadata=(),
                )
            )

    def _serve(self, call: Call) -> None:
        self._pending[call.stream_id] = call
        span = trace.serving(f"{call.service}/{call.method}", call.metadata)
        try:
            coroutine = self._dispatch(call.service, call.method, call.payload)
            answer = self._loop.spawn(
                coroutine if span is None else trace.Traced(coroutine, span)  # type: ignore[arg-type]
            )
        except EngineError as error:
            self._pending.pop(call.stream_id)
            self._send(self._protocol.response(call.stream_id, error))
            return
        answer.then(lambda: self._answer(call, answer, span))

    def _answer(self, call: Call, answer: Future[Any], span: trace.Span | None) -> None:
        result: Message | EngineError
        try:
            result = answer.result()
        except EngineError as error:
            result = error
        except Exception as error:  # noqa: BLE001 - the caller must get an answer
            log.exception("call failed", method=call.method)
            result = Internal(f"{call.method}: {error}")
        self._pending.pop(call.stream_id)
        if span is not None:
            span.end(result.message if isinstance(result, EngineError) else "")
        self._send(self._protocol.response(call.stream_id, result))
        self._answered()

    def _send(self, data: bytes) -> None:
        if data and self._open:
            self._output += data
            self._flush()

    def _flush(self) -> None:
        try:
            while self._output:
                del self._output[: self._socket.send(self._output)]
        except BlockingIOError:
            self._loop.watch(self._socket.fileno(), READ | WRITE, self._ready)
            return
        except OSError:
            self._close()
            return
        self._loop.watch(self._socket.fileno(), READ, self._ready)

    def _close(self) -> None:
        if self._open:
            self._open = False
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._closed(self)
