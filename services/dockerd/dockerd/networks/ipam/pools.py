"""One subnet's addresses, and the choice of a subnet that nobody uses yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from dockerd.networks.errors import AddressInUse, AddressOutOfRange, InvalidAddress, NoAddressLeft
from dockerd.networks.ipam.bitmap import Bitmap

# Docker's own predefined pools, in its order: 172.17-31, then slices of 192.168.
_DEFAULT_BASES: Final = (
    *((IPv4Network(f"172.{second}.0.0/16"), 16) for second in range(17, 32)),
    (IPv4Network("192.168.0.0/16"), 20),
)


class AddressPool:
    """The addresses of one subnet: network, broadcast and gateway are never given out."""

    def __init__(
        self, subnet: IPv4Network, gateway: IPv4Address | None, ip_range: IPv4Network | None = None
    ) -> None:
        if ip_range is not None and not ip_range.subnet_of(subnet):
            raise InvalidAddress("fixed CIDR", f"{ip_range} is not within {subnet}")
        self.subnet = subnet
        self._base = int(subnet.network_address)
        self._taken = Bitmap(subnet.num_addresses)
        chosen = ip_range or subnet
        self._first = int(chosen.network_address) - self._base
        self._end = self._first + chosen.num_addresses
        if subnet.prefixlen < 31:
            self._taken.take(0)
            self._taken.take(subnet.num_addresses - 1)
        if gateway is not None:
            self._taken.take(self._offset(gateway))

    @property
    def free(self) -> int:
        """How many addresses of the subnet are free."""
        return self._taken.free

    def take_next(self) -> IPv4Address:
        """The lowest free address; raises NoAddressLeft."""
        offset = self._taken.take_lowest(self._first, self._end)
        if offset is None:
            raise NoAddressLeft
        return IPv4Address(self._base + offset)

    def take(self, address: IPv4Address) -> None:
        """Take a given address; raises AddressInUse or AddressOutOfRange."""
        if address not in self.subnet:
            raise AddressOutOfRange(str(address))
        if not self._taken.take(self._offset(address)):
            raise AddressInUse

    def release(self, address: IPv4Address) -> None:
        """Give an address back; harmless if it is free or foreign."""
        if address in self.subnet:
            self._taken.release(self._offset(address))

    def _offset(self, address: IPv4Address) -> int:
        return int(address) - self._base


def default_subnets(bases: Iterable[tuple[str, int]] = ()) -> Iterator[IPv4Network]:
    """The subnets to try for a network whose user named none, cut from ``bases`` or from Docker's own."""
    chosen = [(IPv4Network(base), prefix) for base, prefix in bases if ":" not in base]
    for base, prefix in chosen or _DEFAULT_BASES:
        yield from base.subnets(new_prefix=prefix)


def choose_subnet(
    used: Iterable[IPv4Network], bases: Iterable[tuple[str, int]] = ()
) -> IPv4Network:
    """The first default subnet that overlaps with none of the used ones; raises NoAddressLeft."""
    taken = list(used)
    for candidate in default_subnets(bases):
        if not any(candidate.overlaps(network) for network in taken):
            return candidate
    raise NoAddressLeft
