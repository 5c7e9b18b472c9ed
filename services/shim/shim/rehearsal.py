"""Lives of a shim inside the forkserver, before the first fork.

CPython writes into what it runs: it specializes bytecode, fills the method cache, creates interned names. Done here once,
these writes happen in pages that all shims share; done in each shim, they would be copies of its own. A life with ``true`` for
a runtime takes some milliseconds, the change of the shim's process included. It touches nothing outside its
temporary directory.
"""

from __future__ import annotations

import contextlib
import gc
import marshal
import os
import socket

from shim import log, succession
from shim.events import Publisher
from shim.exits import Exits
from shim.loop import READ, Loop
from shim.server import Session
from shim.task_service import TaskService
from wire.gen.containerd.types.runc.options.oci_msg import Options
from wire.gen.google.protobuf.any_msg import Any
from wire.gen.shim.task.v2 import shim_msg
from wire.gen.shim.ttrpc.request_msg import KeyValue, Request
from wire.ttrpc import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from wire.codec import Message

_SERVICE: Final = "containerd.task.v2.Task"
# Specialization begins when a piece of code has run some times.
_TIMES: Final = 10
_PLACES: Final = ("/dev/shm", "/run", "/")  # noqa: S108 - the name cannot be guessed


def rehearse() -> None:
    """Live ``_TIMES`` lives. What fails is left out: a shim works without it, too."""
    # In memory, where a flush costs nothing. Not by tempfile: its random module does something after each fork.
    base = next(each for each in _PLACES if os.access(each, os.W_OK))
    directory = f"{base}/dockyard-shim-{os.getpid()}-{os.urandom(8).hex()}"
    before = _descriptors()
    try:
        os.mkdir(directory, 0o700)
        for number in range(_TIMES):
            _live(f"{directory}/{number}")
    except Exception:  # noqa: BLE001 - the forkserver must live, whatever this finds
        log.exception("rehearsal failed")
    finally:
        # What has an owner first, so that no number is closed twice.
        gc.collect()
        for number in _descriptors() - before:
            with contextlib.suppress(OSError):
                os.close(number)
        _remove(directory)


def _descriptors() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd")}


def _remove(directory: str) -> None:
    for path, folders, names in os.walk(directory, topdown=False):
        for name in names:
            os.unlink(f"{path}/{name}")
        for name in folders:
            os.rmdir(f"{path}/{name}")
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(directory)


class _Mute(Publisher):
    """Nobody listens, and nobody need have."""

    @property
    def idle(self) -> bool:
        return True


class _Shim:
    """One process of a shim with one connection, ``ours``."""

    def __init__(self, bundle: str, connection: socket.socket) -> None:
        self.loop = Loop()
        self.exits = Exits(self.loop)
        self.service = TaskService(
            self.loop,
            self.exits,
            _Mute(self.loop, f"{bundle}/nobody", "rehearsal"),
            namespace="rehearsal",
            socket_dir=bundle,
            socket=f"{bundle}/s",
            shut_down=self.loop.stop,
            ended=_answered,
        )
        self.session = Session(self.loop, connection, self.service.dispatch, _ended, _answered)

    def close(self) -> None:
        self.exits.close()
        self.loop.close()


def _ended(_session: Session) -> None:
    """Nobody counts sessions here."""


def _answered() -> None:
    """Nobody counts calls here."""


def _live(bundle: str) -> None:
    os.mkdir(bundle)
    ours, theirs = socket.socketpair()
    worker = _Shim(bundle, theirs)
    # A child that ends by a signal stands for the container's process.
    process = os.posix_spawnp("sleep", ["sleep", "60"], os.environ)
    with open(f"{bundle}/init.pid", "w", encoding="ascii") as file:
        file.write(str(process))
    options = Options(binary_name="true", root=bundle).SerializeToString()
    create = shim_msg.CreateTaskRequest(
        id="x",
        bundle=bundle,
        stdin="attach://?once=1",
        stdout=f"json-file://{bundle}/log?max-size=0&max-file=1&attach={bundle}/a",
        options=Any(type_url="containerd.runc.v1.Options", value=options),
    )
    _talk(
        worker,
        ours,
        1,
        [
            ("Connect", shim_msg.ConnectRequest(id="x")),
            ("Create", create),
            ("Start", shim_msg.StartRequest(id="x")),
            ("State", shim_msg.StateRequest(id="x")),
        ],
    )
    descriptors: list[int] = []
    found = {
        "session": worker.session.hand_over(descriptors),
        "container": worker.service.hand_over(descriptors),
    }
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    socket.send_fds(there, [marshal.dumps(found)], [worker.loop.descriptor, *descriptors])
    received, taken = succession.receive(here)
    assert received is not None
    found, handed = received, iter(taken)
    os.close(next(handed))
    # What is ready at once stands for a container's output.
    ready, output = os.pipe()
    os.write(output, b"x")
    succession.rest(ready)
    os.close(ready)
    os.close(output)
    worker.close()
    keeper = _Shim(bundle, socket.socket(fileno=next(handed)))
    keeper.service.take_over(found["container"], handed)
    keeper.session.take_over(found["session"])
    _talk(
        keeper,
        ours,
        101,
        [
            ("Wait", shim_msg.WaitRequest(id="x")),
            ("Kill", shim_msg.KillRequest(id="x", signal=9)),
            ("Delete", shim_msg.DeleteRequest(id="x")),
            ("Shutdown", shim_msg.ShutdownRequest(id="x")),
        ],
    )
    keeper.close()


def _talk(shim: _Shim, ours: socket.socket, stream: int, calls: list[tuple[str, Message]]) -> None:
    """Call in the order in which dockerd and containerd do; Wait is answered by what Kill does."""
    reader = frame.Reader()
    pending = iter(calls)
    unanswered: set[int] = set()
    streams = iter(range(stream, stream + 2 * len(calls), 2))

    def call() -> None:
        for method, message in pending:
            request = Request(
                service=_SERVICE,
                method=method,
                payload=message.SerializeToString(),
                metadata=[KeyValue(key="containerd-namespace-ttrpc", value="rehearsal")],
            )
            number = next(streams)
            unanswered.add(number)
            ours.sendall(frame.encode(number, frame.REQUEST, request.SerializeToString()))
            if method != "Wait":
                return
        if not unanswered:
            shim.loop.stop()

    def answered(_events: int) -> None:
        for number, *_ in reader.feed(ours.recv(65536)):
            unanswered.discard(number)
        if not unanswered:
            call()

    shim.loop.watch(ours.fileno(), READ, answered)
    call()
    shim.loop.run()
    shim.loop.forget(ours.fileno())
