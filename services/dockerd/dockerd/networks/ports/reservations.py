"""Host ports held by really binding them, so that neither another container nor another process gets them.

The sockets never serve: the firewall leads the traffic away before it would reach them. They can be handed to the
supervisor's fd store and come back after a restart, which keeps the ports reserved meanwhile.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from dockerd.linux.sockets import drop_all
from dockerd.networks.errors import PortTaken
from dockerd.networks.model import Protocol, PublishedPort
from dockerd.networks.ports.allocator import PortAllocator, reserved_ports
from dockerd.networks.ports.bindings import Address, PortRequest, parse_address

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 10
_IPPROTO_SCTP: Final = 132

OnReserve = Callable[[str, int], None]
OnRelease = Callable[[str], None]


class PortReservations:
    """The sockets behind published ports.

    ``on_reserve(name, fd)`` and ``on_release(name)`` are told of every change, on the networks' thread: they are where
    an fd store hooks in.
    """

    def __init__(
        self,
        *,
        on_reserve: OnReserve | None = None,
        on_release: OnRelease | None = None,
        allocator: PortAllocator | None = None,
    ) -> None:
        self._allocator = allocator or PortAllocator(skipped=reserved_ports())
        self._on_reserve = on_reserve
        self._on_release = on_release
        self._sockets: dict[str, socket.socket | None] = {}
        self._adopted: dict[str, socket.socket] = {}

    def adopt(self, fd: int, name: str) -> None:
        """Take over a socket that an earlier daemon left in the fd store; to be called before reconciling."""
        self._adopted[name] = socket.socket(fileno=fd)

    def reserve(
        self, requests: Iterable[PortRequest], addresses: Sequence[str]
    ) -> tuple[PublishedPort, ...]:
        """Reserve a host port for each request, all of them or none.

        Raises PortAllocated, PortTaken or AllPortsAllocated.
        """
        reserved: list[PublishedPort] = []
        try:
            for request in requests:
                reserved += self._reserve(request, addresses)
        except BaseException:
            self.release(reserved)
            raise
        return tuple(reserved)

    def restore(self, ports: Iterable[PublishedPort], addresses: Sequence[str]) -> None:
        """Hold the ports of a container that outlived the daemon, by adopted sockets where there are any.

        A port that another process took in the meantime is logged: the firewall still leads it to the container.
        """
        for port in ports:
            if port.routed or port.fd_name in self._sockets:
                continue
            address = parse_address(port.host_ip)
            self._allocator.restore(port.protocol, address, port.host_port)
            adopted = self._adopted.pop(port.fd_name, None)
            if adopted is not None:
                self._sockets[port.fd_name] = adopted
                continue
            try:
                self._keep(port, _bound(port.protocol, address, port.host_port))
            except OSError as error:
                self._sockets[port.fd_name] = None
                logger.warning(
                    "host port of a running container is taken",
                    extra={"port": describe(port, addresses), "error": str(error)},
                )

    def release(self, ports: Iterable[PublishedPort]) -> None:
        """Give ports back; harmless for ports that are not held."""
        for port in ports:
            if port.fd_name not in self._sockets:
                continue
            held = self._sockets.pop(port.fd_name)
            self._allocator.release(port.protocol, parse_address(port.host_ip), port.host_port)
            if held is not None:
                self._drop(port.fd_name, held)

    def drop_adopted(self) -> None:
        """Close the adopted sockets that no container claimed."""
        while self._adopted:
            self._drop(*self._adopted.popitem())

    def close(self) -> None:
        """Close the sockets of this process; copies in an fd store stay."""
        for held in (*self._sockets.values(), *self._adopted.values()):
            if held is not None:
                held.close()
        self._sockets.clear()
        self._adopted.clear()

    def _reserve(self, request: PortRequest, addresses: Sequence[str]) -> list[PublishedPort]:
        for attempt in range(1, _ATTEMPTS + 1):
            port = self._allocator.take(request.protocol, request.addresses, request.host)
            try:
                return self._bind_all(request, port, addresses)
            except PortTaken:
                for address in request.addresses:
                    self._allocator.release(request.protocol, address, port)
                if request.host.single or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _bind_all(
        self, request: PortRequest, port: int, addresses: Sequence[str]
    ) -> list[PublishedPort]:
        bound: list[tuple[PublishedPort, socket.socket | None]] = []
        for address in request.addresses:
            published = PublishedPort(
                protocol=request.protocol,
                container_port=request.container_port,
                host_ip=str(address),
                host_port=port,
            )
            try:
                bound.append((published, _bound(request.protocol, address, port)))
            except OSError as error:
                for _, held in bound:
                    if held is not None:
                        held.close()
                cause = os.strerror(error.errno or 0).lower()
                raise PortTaken(describe(published, addresses), cause) from error
        for published, held in bound:
            self._keep(published, held)
        return [published for published, _ in bound]

    def _keep(self, port: PublishedPort, held: socket.socket | None) -> None:
        self._sockets[port.fd_name] = held
        if held is not None and self._on_reserve is not None:
            self._on_reserve(port.fd_name, held.fileno())

    def _drop(self, name: str, held: socket.socket) -> None:
        held.close()
        if self._on_release is not None:
            self._on_release(name)


def describe(port: PublishedPort, addresses: Sequence[str]) -> str:
    """A published port as Docker writes it: ``0.0.0.0:8080:172.17.0.2:80/tcp``, IPv6 addresses in brackets."""
    same = [each for each in addresses if (":" in each) == (":" in port.host_ip)]
    inside = (same or list(addresses) or [""])[0]
    return f"{_bracketed(port.host_ip)}:{port.host_port}:{_bracketed(inside)}:{port.key}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def summary(
    exposed: Sequence[str], ports: Sequence[PublishedPort]
) -> dict[str, list[dict[str, str]] | None]:
    """NetworkSettings.Ports: every exposed or published port, with its host bindings or null."""
    found: dict[str, list[dict[str, str]] | None] = dict.fromkeys(exposed)
    for port in ports:
        # An open port of a routed network has no port of the host.
        entry = {"HostIp": port.host_ip, "HostPort": "" if port.routed else str(port.host_port)}
        known = found.get(port.key)
        if known is None:
            found[port.key] = [entry]
        else:
            known.append(entry)
    return found


def _bound(protocol: Protocol, address: Address, port: int) -> socket.socket | None:
    """A socket bound to the port; None where the kernel lacks the protocol."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        held = _socket(protocol, family)
    except OSError as error:
        if protocol is Protocol.SCTP and error.errno in {
            errno.EPROTONOSUPPORT,
            errno.ESOCKTNOSUPPORT,
        }:
            return None
        raise
    try:
        try:
            held.bind((str(address), port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or protocol is not Protocol.TCP:
                raise
            # Connections of a former user in TIME_WAIT block the plain bind. SO_REUSEADDR passes them, but then only
            # a listening socket keeps others from doing the same.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            drop_all(held)
            held.bind((str(address), port))
            held.listen(1)
    except BaseException:
        held.close()
        raise
    return held


def _socket(protocol: Protocol, family: socket.AddressFamily) -> socket.socket:
    if protocol is Protocol.UDP:
        held = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        drop_all(held)
    elif protocol is Protocol.TCP:
        held = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    else:
        held = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, _IPPROTO_SCTP)
    if family == socket.AF_INET6:
        held.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return held
