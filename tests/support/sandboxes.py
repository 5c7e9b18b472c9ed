"""Servers and clients inside network namespaces, for tests of the networks' controller."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import subprocess
import threading
import time
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


@contextlib.contextmanager
def outside(network: int = 113) -> Iterator[str]:
    """A host on another network, with routes to containers on 10.98.1.0/24 and fd00:98:1::/64; the path of its namespace.

    It has 203.0.<network>.2 and 2001:db8::2, and is behind ``up<network>``, which has .1. For isolated tests only.
    """
    v6 = "2001:db8:" if network == 113 else f"2001:db8:{network}:"
    words = ["unshare", "-n", "sh", "-c", "echo; exec cat"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdout.readline()
        within = f"nsenter -t {holder.pid} -n ip"
        subprocess.run(
            ["sh", "-ec", f"""
            ip link add up{network} type veth peer name e netns {holder.pid}
            ip addr add 203.0.{network}.1/24 dev up{network}
            ip addr add {v6}:1/64 dev up{network} nodad; ip link set up{network} up
            {within} addr add 203.0.{network}.2/24 dev e; {within} addr add {v6}:2/64 dev e nodad
            {within} link set e up
            {within} route add 10.98.1.0/24 via 203.0.{network}.1
            {within} -6 route add fd00:98:1::/64 via {v6}:1
            """],
            check=True,
        )  # fmt: skip
        netns = f"/proc/{holder.pid}/ns/net"
        # The kernel believes in a carrier when it looks, which may be a second later.
        assert inside(netns, lambda: _answers(f"{v6}:1", 10))
        yield netns
        holder.stdin.close()


def _answers(host: str, patience: float) -> bool:
    """Whether a host refuses connections, at least."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            ask(socket.SOCK_STREAM, host, 9, 1)
        except ConnectionRefusedError:
            return True
        except OSError:
            continue
    return False


def pings(host: str, patience: float = 0.7) -> bool:
    """Whether a host answers an echo request."""
    version = 6 if ":" in host else 4
    family, protocol, kind = (
        (socket.AF_INET, socket.IPPROTO_ICMP, 8)
        if version == 4
        else (socket.AF_INET6, socket.IPPROTO_ICMPV6, 128)
    )
    checksum = 0xFFFF - (kind << 8) if version == 4 else 0
    with socket.socket(family, socket.SOCK_RAW, protocol) as client:
        client.settimeout(patience)
        client.connect((host, 0))
        client.send(struct.pack("!BBHHH", kind, 0, checksum, 0, 0))
        try:
            return bool(client.recv(100))
        except OSError:
            return False


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
