"""dockerd's side of the resolver: keeps it alive, gives it sockets of new namespaces, and tells it names.

Used from the networks' thread only. The resolver is started when the first container needs it, and outlives dockerd.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from dockerd.linux import namespaces as linux_namespaces
from dockerd.networks.model import EndpointRecord, NetworkId
from dockerd.networks.sandbox.resolvconf import EMBEDDED
from wire.addresses import ensure_dir, short_dir

logger = logging.getLogger(__name__)

_PORT: Final = 53
_SHORT_ID: Final = 12
_LARGEST: Final = 4 << 20
_SO_SNDBUFFORCE: Final = 32
_PATIENCE: Final = 10.0
_UCRED: Final = struct.Struct("3i")


class ResolverGone(OSError):
    """The process does not answer."""


class Resolver:
    """The resolver of one stack."""

    def __init__(self, exec_root: str, on_process: Callable[[int], None] | None = None) -> None:
        """``on_process`` hears the pid of each resolver that we talk to, so that its end can be watched."""
        self._on_process = on_process
        self._path = f"{ensure_dir(short_dir(exec_root))}/resolver.sock"
        self._connection: socket.socket | None = None

    def open(self, endpoint: EndpointRecord, home: int) -> None:
        """Make the sockets of a container's namespace and hand them over; raises OSError."""
        udp, tcp = _sockets(endpoint.netns_path, home)
        with udp, tcp:
            descriptors = [udp.fileno(), tcp.fileno()]
            message = {"op": "open", "sandbox": endpoint.sandbox_id}
            try:
                self._say(message, descriptors)
            except (OSError, ValueError):
                # It had nothing to do and has just ended: the next one takes it.
                self._say(message, descriptors)

    def close_sandbox(self, sandbox_id: str) -> None:
        """A container's namespace goes; harmless for one that has no resolver."""
        if self._running():
            with contextlib.suppress(OSError):
                self._say({"op": "close", "sandbox": sandbox_id})

    def set_view(
        self, sandbox_id: str, endpoints: Sequence[EndpointRecord], servers: Sequence[str]
    ) -> None:
        """What a container sees; ``servers`` are empty where nothing may be forwarded."""
        links = {
            alias.lower(): target.lower()
            for endpoint in endpoints
            for alias, target in endpoint.links.items()
        }
        self._say(
            {
                "op": "sandbox",
                "sandbox": sandbox_id,
                "networks": [each.network_id for each in endpoints],
                "links": links,
                "servers": list(servers),
            }
        )

    def set_network(self, network_id: NetworkId, endpoints: Iterable[EndpointRecord]) -> None:
        """The names on a network."""
        names: dict[str, list[str]] = {}
        addresses: dict[str, str] = {}
        for endpoint in endpoints:
            for name in endpoint.dns_names:
                for shown in (name, f"{name}.{endpoint.network_name}"):
                    known = names.setdefault(shown.lower(), [])
                    known += [each for each in endpoint.addresses if each not in known]
            for address in endpoint.addresses:
                addresses[address] = f"{endpoint.container_name}.{endpoint.network_name}"
        self._say({"op": "network", "network": network_id, "names": names, "addresses": addresses})

    def forget_network(self, network_id: NetworkId) -> None:
        """A network is gone."""
        if self._running():
            with contextlib.suppress(OSError):
                self._say({"op": "forget", "network": network_id})

    def sandboxes(self) -> frozenset[str]:
        """Those that the resolver serves now; empty if it does not run."""
        if not self._running():
            return frozenset()
        try:
            return frozenset(self._say({"op": "list"})["sandboxes"])
        except OSError:
            return frozenset()

    def end(self) -> None:
        """Have the process end: the end of the stack, not of the daemon."""
        if self._running():
            with contextlib.suppress(OSError):
                self._say({"op": "exit"})
        self.close()

    def close(self) -> None:
        """Let go of it; it goes on."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- inside

    def _running(self) -> bool:
        if self._connection is None:
            with contextlib.suppress(OSError):
                self._connection = self._connect()
        return self._connection is not None

    def _say(self, message: dict[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        if not self._running():
            self._start()
        connection = self._connection
        if connection is None:
            raise ResolverGone("the resolver does not start")
        try:
            socket.send_fds(connection, [json.dumps(message).encode()], list(descriptors))
            reply = connection.recv(_LARGEST)
            if not reply:
                raise ResolverGone("the resolver has gone")
            answer: dict[str, Any] = json.loads(reply)
        except (OSError, ValueError):
            self.close()
            raise
        return answer

    def _connect(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            connection.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _LARGEST)
            connection.settimeout(_PATIENCE)
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        if self._on_process is not None:
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            self._on_process(_UCRED.unpack(credentials)[0])
        return connection

    def _start(self) -> None:
        # It listens when the process that we start has ended, and goes on in a child of that.
        subprocess.run(
            [sys.executable, "-I", "-m", "dockerd.resolver", self._path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            check=True,
        )
        logger.info("resolver started")
        self._connection = self._connect()


def names_of(record: EndpointRecord, aliases: Iterable[str]) -> tuple[str, ...]:
    """The DNS names of an endpoint: the container's name, its aliases, its short id and its host name."""
    found = [record.container_name, *aliases, record.container_id[:_SHORT_ID], record.hostname]
    return tuple(dict.fromkeys(name for name in found if name))


def _sockets(netns: str, home: int) -> tuple[socket.socket, socket.socket]:
    """A UDP socket and a TCP listener at 127.0.0.11 inside a namespace."""
    descriptor = os.open(netns, os.O_RDONLY | os.O_CLOEXEC)
    try:
        linux_namespaces.setns(descriptor, linux_namespaces.CLONE_NEWNET)
        try:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        finally:
            linux_namespaces.setns(home, linux_namespaces.CLONE_NEWNET)
    finally:
        os.close(descriptor)
    try:
        for each in (udp, tcp):
            # A server of the container's own may listen on every address beside us.
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind((EMBEDDED, _PORT))
        tcp.listen(64)
    except BaseException:
        udp.close()
        tcp.close()
        raise
    return udp, tcp
