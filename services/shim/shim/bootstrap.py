"""Bringing a shim into being: its socket, a process of its own, and the files by which it is found again."""

from __future__ import annotations

import contextlib
import gc
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
    from typing import Final

_UCRED: Final = struct.Struct("3i")
_BACKLOG: Final = 128
_LISTENER: Final = 3
_PATIENCE: Final = 2.0


class Request:
    """Who asks for a shim, for what. ``socket_path`` is where the shim is to listen, ``socket_dir`` holds its other sockets."""

    __slots__ = ("bundle", "namespace", "socket_dir", "socket_path", "ttrpc_address")

    def __init__(
        self, *, namespace: str, bundle: str, ttrpc_address: str, socket_dir: str, socket_path: str
    ) -> None:
        self.namespace = namespace
        self.bundle = bundle
        self.ttrpc_address = ttrpc_address
        self.socket_dir = socket_dir
        self.socket_path = socket_path


class Started:
    """Where the new shim answers."""

    __slots__ = ("address", "pid")

    def __init__(self, address: str, pid: int) -> None:
        self.address = address
        self.pid = pid


def start(request: Request) -> Started:
    """A shim that serves the container: that of its group if there is one, else a new one, forked.

    Returns in the caller once its socket listens.
    """
    path = request.socket_path
    os.makedirs(request.socket_dir, mode=0o700, exist_ok=True)
    pid = _serving(path) or _fork(path, request)
    address = f"unix://{path}"
    write_atomic(f"{request.bundle}/shim.pid", str(pid).encode(), 0o644, durable=False)
    write_atomic(f"{request.bundle}/address", address.encode(), 0o644, durable=False)
    return Started(address, pid)


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


def _fork(path: str, request: Request) -> int:
    listener = _bind(path)
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        _become_shim(listener, path, request, write_end)
    os.close(write_end)
    listener.close()
    with os.fdopen(read_end, "rb") as pipe:
        pid = int(pipe.read() or b"0")
    if not pid:
        raise Internal(f"the shim in {request.bundle} ended at its start")
    return pid


def _bind(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    return listener


def _become_shim(listener: socket.socket, path: str, request: Request, started: int) -> None:
    status = 1
    try:
        os.setsid()
        os.chdir(request.bundle)
        # Here, because a peer's credentials are those of the process that listened.
        listener.listen(_BACKLOG)
        os.write(started, str(os.getpid()).encode())
        linux.set_signal(signal.SIGCHLD, linux.DEFAULT)
        null = os.open("/dev/null", os.O_RDWR)
        file = os.open(f"{request.bundle}/shim.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(null, 0)
        os.dup2(file, 1)
        os.dup2(file, 2)
        if listener.fileno() != _LISTENER:
            os.dup2(listener.fileno(), _LISTENER, inheritable=False)
        listener.detach()
        os.closerange(_LISTENER + 1, 1024)
        # What was made before the fork stays shared with the parent as long as nobody touches it.
        gc.freeze()
        run(
            socket.socket(fileno=_LISTENER),
            Settings(
                namespace=request.namespace,
                socket_dir=request.socket_dir,
                address=path,
                ttrpc_address=request.ttrpc_address,
            ),
        )
        status = 0
    except Exception:  # noqa: BLE001 - the last place where it can be said
        log.exception("shim died")
    finally:
        os._exit(status)
