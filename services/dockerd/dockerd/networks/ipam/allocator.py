"""Which address belongs to which network's endpoints.

Memory only: the endpoint records on disk are the durable truth, written before an address is used, and the pools are
refilled from them at every start.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from dockerd.networks.errors import AddressInUse, InvalidAddress
from dockerd.networks.ipam.pools import AddressPool
from dockerd.networks.model import NetworkId


class AddressAllocator:
    """The address pools of all networks."""

    def __init__(self) -> None:
        self._pools: dict[NetworkId, AddressPool] = {}

    def add_network(
        self,
        network_id: NetworkId,
        subnet: IPv4Network,
        gateway: IPv4Address | None,
        ip_range: IPv4Network | None = None,
    ) -> None:
        """Open a pool, empty but for its reserved addresses."""
        self._pools[network_id] = AddressPool(subnet, gateway, ip_range)

    def remove_network(self, network_id: NetworkId) -> None:
        """Forget a network's pool."""
        self._pools.pop(network_id, None)

    def allocate(self, network_id: NetworkId, wanted: str | None = None) -> IPv4Address:
        """An address for an endpoint: the one asked for, or the lowest free one."""
        pool = self._pools[network_id]
        if wanted is None:
            return pool.take_next()
        try:
            address = IPv4Address(wanted)
        except ValueError:
            raise InvalidAddress("IPv4 address", wanted) from None
        pool.take(address)
        return address

    def restore(self, network_id: NetworkId, address: str) -> bool:
        """Mark a live endpoint's address as taken; False if it cannot be (moved subnet, or taken twice)."""
        pool = self._pools.get(network_id)
        if pool is None or IPv4Address(address) not in pool.subnet:
            return False
        try:
            pool.take(IPv4Address(address))
        except AddressInUse:
            return False
        return True

    def release(self, network_id: NetworkId, address: str) -> None:
        """Give an address back; harmless if it is free."""
        pool = self._pools.get(network_id)
        if pool is not None and address:
            pool.release(IPv4Address(address))

    def free(self, network_id: NetworkId) -> int:
        """How many addresses a network has left."""
        return self._pools[network_id].free
