"""One subnet's addresses, and the choice of a subnet that nobody uses yet."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from dockerd.networks.errors import (
    AddressInUse,
    AddressOutOfRange,
    InvalidAddress,
    NoAddressLeft,
    PoolsExhausted,
)
from dockerd.networks.model import IpAddress, IpNetwork

# A block of addresses, and the prefix length of the subnets that are cut from it.
PoolBase = tuple[str, int]

# Docker's own predefined pools, in its order: 172.17-31, then slices of 192.168.
_DEFAULT_BASES: Final = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 32)),
    ("192.168.0.0/16", 20),
)
_LOCAL_PREFIX: Final = 0xFD << 120
_GLOBAL_ID_BITS: Final = 40
_GLOBAL_ID_SHIFT: Final = 80


class AddressPool:
    """The addresses of one subnet: network, broadcast and gateway are never given out.

    A set of what is taken, and the offset below which nothing is free: an IPv6 subnet has more addresses than any bitmap.
    """

    def __init__(
        self, subnet: IpNetwork, gateway: IpAddress | None, ip_range: IpNetwork | None = None
    ) -> None:
        chosen = subnet if ip_range is None else ip_range
        first = int(chosen.network_address) - int(subnet.network_address)
        if chosen.version != subnet.version or not (
            0 <= first <= subnet.num_addresses - chosen.num_addresses
        ):
            raise InvalidAddress("fixed CIDR", f"{ip_range} is not within {subnet}")
        self.subnet = subnet
        self._base = int(subnet.network_address)
        self._taken: set[int] = set()
        self._first = self._lowest = first
        self._end = first + chosen.num_addresses
        if subnet.num_addresses > 2 or isinstance(subnet, IPv6Network):
            # Of IPv6 it is the subnet-router anycast address.
            self._taken.add(0)
        if subnet.num_addresses > 2 and isinstance(subnet, IPv4Network):
            self._taken.add(subnet.num_addresses - 1)
        if gateway is not None:
            self._taken.add(self._offset(gateway))

    def take_next(self) -> IpAddress:
        """The lowest free address; raises NoAddressLeft."""
        offset = self._lowest
        while offset in self._taken:
            offset += 1
        self._lowest = offset
        if offset >= self._end:
            raise NoAddressLeft(self.subnet.version)
        self._taken.add(offset)
        return self.subnet[offset]

    def take(self, address: IpAddress) -> None:
        """Take a given address; raises AddressInUse or AddressOutOfRange."""
        if address not in self.subnet:
            raise AddressOutOfRange(str(address))
        offset = self._offset(address)
        if offset in self._taken:
            raise AddressInUse
        self._taken.add(offset)

    def release(self, address: IpAddress) -> None:
        """Give an address back; harmless if it is free or foreign."""
        if address in self.subnet:
            offset = self._offset(address)
            self._taken.discard(offset)
            if self._first <= offset < self._lowest:
                self._lowest = offset

    def _offset(self, address: IpAddress) -> int:
        return int(address) - self._base


def local_base(engine_id: str) -> PoolBase:
    """The pool of unique local addresses (RFC 4193) that belongs to an engine, derived as Docker derives it."""
    digest = hashlib.sha256(engine_id.encode()).digest()
    number = int.from_bytes(digest[:8], "big") & ((1 << _GLOBAL_ID_BITS) - 1)
    base = IPv6Network((_LOCAL_PREFIX + (number << _GLOBAL_ID_SHIFT), 48))
    return str(base), 64


def default_bases(configured: Sequence[PoolBase], engine_id: str) -> list[PoolBase]:
    """The administrator's pools or Docker's own, with the engine's unique local ones if there are none for IPv6."""
    found = list(configured or _DEFAULT_BASES)
    if not any(":" in base for base, _ in found):
        found.append(local_base(engine_id))
    return found


def choose_subnet(version: int, bases: Iterable[PoolBase], used: Iterable[IpNetwork]) -> IpNetwork:
    """The first subnet of the pools that overlaps with none of the used ones; raises PoolsExhausted."""
    taken = [
        (int(each.network_address), int(each.broadcast_address))
        for each in used
        if each.version == version
    ]
    for candidate in _subnets(version, bases):
        first, last = int(candidate.network_address), int(candidate.broadcast_address)
        if not any(first <= end and start <= last for start, end in taken):
            return candidate
    raise PoolsExhausted


def _subnets(version: int, bases: Iterable[PoolBase]) -> Iterator[IpNetwork]:
    for text, size in bases:
        base = ip_network(text)
        if base.version == version:
            yield from base.subnets(new_prefix=size)
