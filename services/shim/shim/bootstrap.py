"""Bringing a shim into being: its socket, a process of its own, and the files by which it is found again."""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import signal
import socket

from shim.server import Settings, serve
from wire.atomic import write_atomic


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
    """Fork a shim that serves; returns in the caller once its socket listens."""
    path = request.socket_path
    os.makedirs(request.socket_dir, mode=0o700, exist_ok=True)
    listener = _listen(path)
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        # In between a process that ends at once, so that the shim is nobody's child here.
        shim = os.fork()
        if shim:
            os.write(write_end, str(shim).encode())
            os._exit(0)
        _become_shim(listener, path, request)
    os.close(write_end)
    listener.close()
    with os.fdopen(read_end, "rb") as pipe:
        pid = int(pipe.read() or b"0")
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0)
    address = f"unix://{path}"
    write_atomic(f"{request.bundle}/shim.pid", str(pid).encode(), 0o644)
    write_atomic(f"{request.bundle}/address", address.encode(), 0o644)
    return Started(address, pid)


def _listen(path: str) -> socket.socket:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(128)
    return listener


def _become_shim(listener: socket.socket, path: str, request: Request) -> None:
    status = 1
    try:
        os.setsid()
        os.chdir(request.bundle)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        # High, so that it is none of 0 to 3.
        descriptor = fcntl.fcntl(listener.fileno(), fcntl.F_DUPFD_CLOEXEC, 100)
        null = os.open("/dev/null", os.O_RDWR)
        log = os.open(f"{request.bundle}/shim.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.dup2(descriptor, 3)
        os.set_inheritable(3, False)
        listener.detach()
        os.closerange(4, 1024)
        # What was made before the fork stays shared with the parent as long as nobody touches it.
        gc.freeze()
        serve(
            socket.socket(fileno=3),
            Settings(
                namespace=request.namespace,
                socket_dir=request.socket_dir,
                address=path,
                ttrpc_address=request.ttrpc_address,
            ),
        )
        status = 0
    finally:
        os._exit(status)
