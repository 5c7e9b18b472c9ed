"""Which host ports this daemon has given away: bookkeeping only, the kernel is asked by ``reservations``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dockerd.networks.errors import AllPortsAllocated, PortAllocated
from dockerd.networks.model import Protocol
from dockerd.networks.ports.bindings import Address, PortRange

_EPHEMERAL: Final = "/proc/sys/net/ipv4/ip_local_port_range"
_RESERVED: Final = "/proc/sys/net/ipv4/ip_local_reserved_ports"
_FALLBACK: Final = (49153, 65535)


class PortAllocator:
    """Host ports by protocol and address; an unspecified address collides with every one of its family."""

    def __init__(
        self, ephemeral: PortRange | None = None, skipped: frozenset[int] = frozenset()
    ) -> None:
        self._ephemeral = ephemeral or ephemeral_range()
        self._skipped = skipped
        self._taken: dict[tuple[Protocol, int], set[Address]] = {}
        self._cursor: dict[tuple[Protocol, int, int], int] = {}

    def take(self, protocol: Protocol, addresses: Sequence[Address], wanted: PortRange) -> int:
        """One port that is free on all the addresses; raises PortAllocated or AllPortsAllocated."""
        if wanted.single:
            holder = self._holder(protocol, addresses, wanted.first)
            if holder is not None:
                raise PortAllocated(str(holder), wanted.first)
            self._put(protocol, addresses, wanted.first)
            return wanted.first
        automatic = wanted.first == 0
        ports = self._ephemeral if automatic else wanted
        key = (protocol, ports.first, ports.last)
        # Going on behind the last one, so that a port just given up is not reused at once.
        start = self._cursor.get(key, ports.last)
        for step in range(1, len(ports) + 1):
            port = ports.first + (start - ports.first + step) % len(ports)
            if automatic and port in self._skipped:
                continue
            if self._holder(protocol, addresses, port) is None:
                self._cursor[key] = port
                self._put(protocol, addresses, port)
                return port
        raise AllPortsAllocated

    def restore(self, protocol: Protocol, address: Address, port: int) -> None:
        """Mark a running container's port as taken, without asking who else has it."""
        self._put(protocol, (address,), port)

    def release(self, protocol: Protocol, address: Address, port: int) -> None:
        """Give a port back; harmless if it is free."""
        taken = self._taken.get((protocol, port))
        if taken is not None:
            taken.discard(address)
            if not taken:
                del self._taken[protocol, port]

    def _holder(
        self, protocol: Protocol, addresses: Sequence[Address], port: int
    ) -> Address | None:
        """The address on which the port is given away already, where it collides."""
        taken = self._taken.get((protocol, port))
        if not taken:
            return None
        for address in addresses:
            for holder in taken:
                if holder.version == address.version and (
                    holder == address or holder.is_unspecified or address.is_unspecified
                ):
                    return holder
        return None

    def _put(self, protocol: Protocol, addresses: Sequence[Address], port: int) -> None:
        self._taken.setdefault((protocol, port), set()).update(addresses)


def ephemeral_range() -> PortRange:
    """The kernel's range for automatic ports."""
    try:
        first, last = map(int, Path(_EPHEMERAL).read_text().split())
    except (OSError, ValueError):
        first, last = _FALLBACK
    return PortRange(first=first, last=last)


def reserved_ports() -> frozenset[int]:
    """Ports that the administrator keeps out of automatic assignment."""
    try:
        text = Path(_RESERVED).read_text().strip()
    except OSError:
        return frozenset()
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return frozenset(found)
