"""Bringing a shim into being: its socket, a process of its own, and the files by which it is found again."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct

from shim import linux, log, record
from shim.server import Settings, run
from shim.stdio import uri
from wire.atomic import write_atomic
from wire.errors import EngineError, Internal
from wire.gen.shim.ttrpc.request_msg import Request as TtrpcRequest
from wire.ttrpc import frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, NoReturn

_STARTED: Final = b"started"

_UCRED: Final = struct.Struct("3i")
_BACKLOG: Final = 128
_LISTENER: Final = 3
_PATIENCE: Final = 2.0


class Request:
    """Who asks for a shim, for what. ``socket_path`` is where the shim is to listen, ``socket_dir`` holds its other sockets."""

    __slots__ = ("bundle", "namespace", "socket_dir", "socket_path", "ttrpc_address")

    def __init__(
        self, namespace: str, bundle: str, ttrpc_address: str, socket_dir: str, socket_path: str
    ) -> None:
        self.namespace = namespace
        self.bundle = bundle
        self.ttrpc_address = ttrpc_address
        self.socket_dir = socket_dir
        self.socket_path = socket_path


def start(request: Request) -> str:
    """The address of a container's shim: that of its group if there is one, else a new one, a child of ours.

    Returns once its socket listens. Raises Internal for a shim that fails.
    """
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    if os.fork() == 0:
        os.close(read_end)
        serve(request, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        answer = pipe.read()
    if answer != _STARTED:
        reason = answer.decode(errors="replace") or "it ended at its start"
        raise Internal(f"failed to start a shim in {request.bundle}: {reason}")
    return f"unix://{request.socket_path}"


def remove_sockets(bundle: str) -> None:
    """Take away the socket files that a dead shim has left; those of one that serves others of a group stay."""
    with contextlib.suppress(OSError), open(f"{bundle}/address", encoding="utf-8") as file:
        path = file.read().strip().removeprefix("unix://")
        if not _serving(path):
            os.unlink(path)
    remembered = record.load(bundle)
    for process in remembered.processes if remembered else ():
        with contextlib.suppress(OSError, EngineError):
            attach = uri.parse(process.stdout).attach
            if attach:
                os.unlink(attach)


def _question() -> bytes:
    request = TtrpcRequest(service="containerd.task.v2.Task", method="Connect")
    return request.SerializeToString()


def _serving(path: str) -> int:
    """The pid of the shim that answers at ``path``; 0 if none does.

    One that is just dying still takes connections, so it is asked; one that is stopped still serves its containers.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(_PATIENCE)
        try:
            probe.connect(path)
            probe.sendall(frame.encode(1, frame.REQUEST, _question()))
            if not probe.recv(1):
                return 0
        except TimeoutError:
            log.warning("shim does not answer", path=path)
        except OSError:
            return 0
        credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid: int = _UCRED.unpack(credentials)[0]
    return pid


def serve(request: Request, answer: int) -> NoReturn:
    """Become a shim in a forked child, unless one serves the container's group already; never returns.

    ``answer`` takes "started" once the shim's socket listens and its files are written, else a sentence that says why not.
    Each object that is touched here is a page that an idle container costs: the worker does what can wait.
    """
    status = 1
    try:
        listener = _begin(request, answer)
        if listener is not None:
            run(
                listener,
                Settings(
                    namespace=request.namespace,
                    socket_dir=request.socket_dir,
                    address=request.socket_path,
                    ttrpc_address=request.ttrpc_address,
                ),
            )
        status = 0
    except Exception:  # noqa: BLE001 - the last place where it can be said
        log.exception("shim died")
    finally:
        os._exit(status)


def _begin(request: Request, answer: int) -> socket.socket | None:
    """Listen, with no descriptor of the parent's left but the standard ones, and say so; None if another shim serves."""
    path, bundle = request.socket_path, request.bundle
    try:
        # By access(2), which raises nothing: an exception touches more than all else that is done here.
        pid = _serving(path) if os.access(path, os.F_OK) else 0
        listener = None
        if not pid:
            pid = os.getpid()
            listener = _listen(request)
        write_atomic(f"{bundle}/shim.pid", b"%d" % pid, 0o644, durable=False)
        write_atomic(f"{bundle}/address", b"unix://" + path.encode(), 0o644, durable=False)
    except (OSError, EngineError) as error:
        os.write(answer, str(error).encode())
        return None
    if listener is not None:
        _detach(bundle)
    os.write(answer, _STARTED)
    os.close(answer)
    if listener is None:
        return None
    if listener.fileno() != _LISTENER:
        os.dup2(listener.fileno(), _LISTENER, inheritable=False)
    listener.detach()
    os.closerange(_LISTENER + 1, 1024)
    return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, _LISTENER)


def _listen(request: Request) -> socket.socket:
    path = request.socket_path
    if not os.access(request.socket_dir, os.F_OK):
        os.makedirs(request.socket_dir, 0o700, exist_ok=True)
    if os.access(path, os.F_OK):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    # Here, because a peer's credentials are those of the process that listened.
    listener.listen(_BACKLOG)
    return listener


def _detach(bundle: str) -> None:
    os.setsid()
    os.chdir(bundle)
    linux.set_signal(signal.SIGCHLD, linux.DEFAULT)
    null = os.open("/dev/null", os.O_RDWR)
    file = os.open(f"{bundle}/shim.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(file, 1)
    os.dup2(file, 2)
