"""Which address belongs to which network's endpoints.

Memory only: the endpoint records on disk are the durable truth, written before an address is used, and the pools are
refilled from them at every start.
"""

from __future__ import annotations

from ipaddress import ip_address

from dockerd.networks.errors import AddressInUse, AddressOutOfRange, InvalidAddress
from dockerd.networks.ipam.pools import AddressPool
from dockerd.networks.model import IpAddress, IpNetwork, NetworkId


class AddressAllocator:
    """The address pools of all networks, one for each IP version that a network has."""

    def __init__(self) -> None:
        self._pools: dict[tuple[NetworkId, int], AddressPool] = {}

    def add_pool(
        self,
        network_id: NetworkId,
        subnet: IpNetwork,
        gateway: IpAddress | None,
        ip_range: IpNetwork | None = None,
    ) -> None:
        """Open a pool, empty but for its reserved addresses; it replaces the one of the same version."""
        self._pools[network_id, subnet.version] = AddressPool(subnet, gateway, ip_range)

    def remove_network(self, network_id: NetworkId) -> None:
        """Forget a network's pools."""
        for version in (4, 6):
            self._pools.pop((network_id, version), None)

    def allocate(self, network_id: NetworkId, version: int, wanted: str | None = None) -> IpAddress:
        """An address for an endpoint: the one asked for, or the lowest free one.

        Raises InvalidAddress, AddressOutOfRange, AddressInUse, NoAddressLeft.
        """
        pool = self._pools.get((network_id, version))
        if not wanted:
            assert pool is not None, "an address of a version that the network has not"
            return pool.take_next()
        try:
            address = ip_address(wanted)
        except ValueError:
            raise InvalidAddress(f"IPv{version} address", wanted) from None
        if address.version != version:
            raise InvalidAddress(f"IPv{version} address", wanted)
        if pool is None:
            raise AddressOutOfRange(wanted)
        pool.take(address)
        return address

    def restore(self, network_id: NetworkId, address: str) -> bool:
        """Mark a live endpoint's address as taken; False if it cannot be (moved subnet, or taken twice)."""
        parsed = ip_address(address)
        pool = self._pools.get((network_id, parsed.version))
        if pool is None or parsed not in pool.subnet:
            return False
        try:
            pool.take(parsed)
        except AddressInUse:
            return False
        return True

    def release(self, network_id: NetworkId, address: str) -> None:
        """Give an address back; harmless if it is free, or none."""
        if not address:
            return
        parsed = ip_address(address)
        pool = self._pools.get((network_id, parsed.version))
        if pool is not None:
            pool.release(parsed)
