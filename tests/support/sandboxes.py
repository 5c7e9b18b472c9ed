"""Servers and clients inside network namespaces, for tests of the networks' controller."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from dockerd.linux import namespaces
from dockerd.networks.model import Attachment

_T = TypeVar("_T")


def inside(netns: str, function: Callable[[], _T]) -> _T:
    """Call a function on a thread that is in the namespace bound at a path; its exception is raised here."""
    results: list[_T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            descriptor = os.open(netns, os.O_RDONLY)
            namespaces.setns(descriptor, namespaces.CLONE_NEWNET)
            os.close(descriptor)
            results.append(function())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def path_of(attachment: Attachment) -> str:
    """Where the container's namespace is bound."""
    assert attachment.netns_path
    return attachment.netns_path


def command(attachment: Attachment, *words: str) -> str:
    """The output of a command in a container's namespace."""
    netns = path_of(attachment)
    return inside(netns, lambda: subprocess.check_output(words, text=True))


@contextlib.contextmanager
def echo(netns: str, kind: socket.SocketKind, port: int, address: str = "") -> Iterator[None]:
    """A server in a namespace that answers with its client's address, a space, and what it got. For both IP versions."""
    family = socket.AF_INET if "." in address else socket.AF_INET6

    def listen() -> socket.socket:
        server = socket.socket(family, kind)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
        if kind == socket.SOCK_STREAM:
            server.listen()
        return server

    server = inside(netns, listen)
    stop, stopper = socket.socketpair()

    def serve() -> None:
        while stop not in (ready := select.select([server, stop], [], [])[0]):
            del ready
            if kind == socket.SOCK_STREAM:
                connection, peer = server.accept()
                with connection, contextlib.suppress(OSError):
                    connection.sendall(_reply(peer[0], connection.recv(100)))
            else:
                data, peer = server.recvfrom(100)
                with contextlib.suppress(OSError):
                    server.sendto(_reply(peer[0], data), peer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        stopper.close()
        thread.join()
        stop.close()
        server.close()


def _reply(peer: str, data: bytes) -> bytes:
    return peer.removeprefix("::ffff:").encode() + b" " + data


def ask(kind: socket.SocketKind, host: str, port: int, patience: float = 3) -> str:
    """The address under which a server saw us; raises OSError if there is no answer."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as client:
        client.settimeout(patience)
        client.connect((host, port))
        client.sendall(b"hello")
        seen, _, said = client.recv(100).decode().partition(" ")
        assert said == "hello"
        return seen


def reaches(kind: socket.SocketKind, host: str, port: int, patience: float = 0.7) -> bool:
    """Whether a server answers."""
    try:
        ask(kind, host, port, patience)
    except OSError:
        return False
    return True
