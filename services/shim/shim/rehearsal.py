"""One life of a shim inside the forkserver, before the first fork.

CPython writes into what it runs: it specializes bytecode, fills the method cache, creates interned names. Done here once,
these writes happen in pages that all shims share; done in each shim, they would be copies of its own. A life with ``true`` for
a runtime takes a few milliseconds. It touches nothing outside its temporary directory.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile

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


def rehearse() -> None:
    """Live ``_TIMES`` lives. What fails is left out: a shim works without it, too."""
    directory = tempfile.mkdtemp(prefix="dockyard-shim-")
    try:
        for number in range(_TIMES):
            _live(f"{directory}/{number}")
    except OSError:
        return
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _nothing(_session: Session) -> None:
    """Nobody counts sessions here."""


def _live(bundle: str) -> None:
    os.mkdir(bundle)
    loop = Loop()
    exits = Exits(loop)
    publisher = Publisher(loop, f"{bundle}/nobody", "rehearsal")
    service = TaskService(
        loop,
        exits,
        publisher,
        namespace="rehearsal",
        socket_dir=bundle,
        socket=f"{bundle}/s",
        shut_down=loop.stop,
    )
    ours, theirs = socket.socketpair()
    Session(loop, theirs, service, _nothing)
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
    calls: list[tuple[str, Message]] = [
        ("Connect", shim_msg.ConnectRequest(id="x")),
        ("Create", create),
        ("Start", shim_msg.StartRequest(id="x")),
        ("State", shim_msg.StateRequest(id="x")),
        ("Wait", shim_msg.WaitRequest(id="x")),
        ("Kill", shim_msg.KillRequest(id="x", signal=9)),
        ("Delete", shim_msg.DeleteRequest(id="x")),
        ("Shutdown", shim_msg.ShutdownRequest(id="x")),
    ]
    reader = frame.Reader()
    pending = iter(enumerate(calls))
    unanswered: set[int] = set()

    def call() -> None:
        for number, (method, message) in pending:
            request = Request(
                service=_SERVICE,
                method=method,
                payload=message.SerializeToString(),
                metadata=[KeyValue(key="containerd-namespace-ttrpc", value="rehearsal")],
            )
            stream = 2 * number + 1
            unanswered.add(stream)
            ours.sendall(frame.encode(stream, frame.REQUEST, request.SerializeToString()))
            if method != "Wait":
                return

    def answered(_events: int) -> None:
        for stream, *_ in reader.feed(ours.recv(65536)):
            unanswered.discard(stream)
        if not unanswered:
            call()

    # In the order in which dockerd and containerd ask; Wait is answered by what Kill does.
    loop.watch(ours.fileno(), READ, answered)
    call()
    loop.run()
    ours.close()
    theirs.close()
    exits.close()
    loop.close()
