"""The networks that there are: predefined ones, and those that users make. On the networks' thread only."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Final

from dockerd.networks.drivers.bridge import BridgeDriver
from dockerd.networks.errors import (
    AmbiguousNetwork,
    HasEndpoints,
    NameTaken,
    NetworkNotFound,
    PoolOverlaps,
    PredefinedCreation,
    PredefinedRemoval,
)
from dockerd.networks.firewall.nftables import Firewall
from dockerd.networks.ipam.pools import choose_subnet
from dockerd.networks.model import (
    OPTION_BRIDGE_NAME,
    OPTION_DEFAULT_BRIDGE,
    OPTION_HOST_BINDING,
    OPTION_ICC,
    OPTION_MASQUERADE,
    OPTION_MTU,
    PREDEFINED,
    BridgeConfig,
    IpamConfig,
    NetworkId,
    NetworkRecord,
    NetworkSettings,
)
from dockerd.networks.netlink import routes
from dockerd.networks.netlink.connection import NetlinkConnection
from dockerd.networks.store import NetworkStore

_SHORT_ID: Final = 12
_MTU: Final = 1500


class NetworkCatalog:
    """Finds, makes and removes networks."""

    def __init__(
        self,
        *,
        settings: NetworkSettings,
        store: NetworkStore,
        bridge: BridgeDriver,
        firewall: Firewall,
        connection: NetlinkConnection,
    ) -> None:
        self._settings = settings
        self._store = store
        self._bridge = bridge
        self._firewall = firewall
        self._connection = connection
        self._by_name: dict[str, NetworkRecord] = {}

    def open(self) -> None:
        """Bring every network into the kernel; the caller makes the firewall's table afterwards."""
        known = {record.name: record for record in self._store.networks()}
        predefined = (
            self._default_bridge(known.pop("bridge", None)),
            known.pop("host", None) or new_network("host", "host"),
            known.pop("none", None) or new_network("none", "null"),
        )
        for record in predefined:
            if record not in self._store.networks():
                self._store.save_network(record)
        for record in (*predefined, *known.values()):
            self._by_name[record.name] = record
            if record.driver == "bridge":
                self._bridge.add_network(record, self._bridge_config(record))

    # -- finding

    def every(self) -> tuple[NetworkRecord, ...]:
        """All networks."""
        return tuple(self._by_name.values())

    def find(self, reference: str) -> NetworkRecord:
        """By name, id or unambiguous prefix of an id; raises NetworkNotFound, AmbiguousNetwork."""
        named = self._by_name.get(reference)
        if named is not None:
            return named
        matches = [
            record
            for record in self.every()
            if reference and record.network_id.startswith(reference)
        ]
        if len(matches) > 1:
            raise AmbiguousNetwork(reference, len(matches))
        if not matches:
            raise NetworkNotFound(reference)
        return matches[0]

    # -- changing

    def create(self, draft: NetworkRecord) -> NetworkRecord:
        """Make a user-defined bridge; without a subnet it gets one. Raises NameTaken, PoolOverlaps, ForeignBridge."""
        if draft.name in PREDEFINED:
            raise PredefinedCreation(draft.name)
        if draft.name in self._by_name:
            raise NameTaken(draft.name)
        name = draft.options.get(OPTION_BRIDGE_NAME) or f"br-{draft.network_id[:_SHORT_ID]}"
        record = replace(draft, ipam=(self._subnet(draft),))
        config = replace(self._bridge_config(record), name=name)
        # Durable before it exists: a daemon that dies here makes it at its next start.
        self._store.save_network(record)
        try:
            self._bridge.add_network(record, config)
            self._firewall.ensure()
        except BaseException:
            self._bridge.remove_network(record)
            self._store.remove_network(record.network_id)
            raise
        self._by_name[record.name] = record
        return record

    def remove(self, reference: str) -> NetworkRecord:
        """Remove a network that nobody uses; raises NetworkNotFound, PredefinedRemoval, HasEndpoints."""
        record = self.find(reference)
        if record.predefined:
            raise PredefinedRemoval(record.name)
        users = [
            (each.container_name, each.endpoint_id)
            for each in self._store.endpoints()
            if each.network_id == record.network_id
        ]
        if users:
            raise HasEndpoints(record.name, users)
        del self._by_name[record.name]
        self._bridge.remove_network(record)
        self._firewall.ensure()
        self._store.remove_network(record.network_id)
        return record

    # -- inside

    def _subnet(self, draft: NetworkRecord) -> IpamConfig:
        taken = [IPv4Network(each.subnet) for record in self.every() for each in record.ipam]
        wanted = draft.ipam[0] if draft.ipam else IpamConfig(subnet="")
        if wanted.subnet:
            subnet = IPv4Network(wanted.subnet)
            if any(subnet.overlaps(each) for each in taken):
                raise PoolOverlaps
        else:
            subnet = self._free_subnet(taken)
        return replace(
            wanted, subnet=str(subnet), gateway=wanted.gateway or str(_first_free(subnet, wanted))
        )

    def _free_subnet(self, taken: list[IPv4Network]) -> IPv4Network:
        used = [*taken, *routes.destinations(self._connection)]
        return choose_subnet(used, self._settings.address_pools)

    def _bridge_config(self, record: NetworkRecord) -> BridgeConfig:
        options, ipam = record.options, record.ipam[0]
        default = record.name == "bridge"
        return BridgeConfig(
            name=options.get(OPTION_BRIDGE_NAME) or f"br-{record.network_id[:_SHORT_ID]}",
            subnet=IPv4Network(ipam.subnet),
            gateway=IPv4Address(ipam.gateway),
            mtu=int(options.get(OPTION_MTU) or _MTU),
            icc=options.get(OPTION_ICC, "true") == "true",
            masquerade=not record.internal and options.get(OPTION_MASQUERADE, "true") == "true",
            owner=self._firewall.table,
            internal=record.internal and not default,
            reserved=tuple(IPv4Address(each) for each in ipam.auxiliary.values()),
        )

    def _default_bridge(self, known: NetworkRecord | None) -> NetworkRecord:
        """The record of the default bridge with today's settings; its id and, without --bip, its subnet stay."""
        settings = self._settings
        fixed = settings.fixed_cidr or ""
        if settings.bip:
            address = IPv4Interface(settings.bip)
            ipam = IpamConfig(subnet=str(address.network), gateway=str(address.ip), ip_range=fixed)
        elif known is not None and known.ipam:
            ipam = replace(known.ipam[0], ip_range=fixed)
        else:
            taken = [IPv4Network(each.subnet) for each in _pools(self._store.networks())]
            subnet = self._free_subnet(taken)
            ipam = IpamConfig(
                subnet=str(subnet), gateway=str(subnet.network_address + 1), ip_range=fixed
            )
        return replace(
            known or new_network("bridge", "bridge"),
            ipam=(ipam,),
            options={
                OPTION_DEFAULT_BRIDGE: "true",
                OPTION_ICC: _boolean(settings.enable_icc),
                OPTION_MASQUERADE: _boolean(settings.enable_ip_masquerade),
                OPTION_HOST_BINDING: settings.default_host_ip,
                OPTION_BRIDGE_NAME: settings.bridge,
                OPTION_MTU: str(settings.mtu),
            },
        )


def new_network(name: str, driver: str) -> NetworkRecord:
    """A record with a fresh id."""
    return NetworkRecord(
        network_id=NetworkId(os.urandom(32).hex()),
        name=name,
        driver=driver,
        created=datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
    )


def _pools(records: Iterable[NetworkRecord]) -> Iterable[IpamConfig]:
    return (each for record in records for each in record.ipam)


def _first_free(subnet: IPv4Network, wanted: IpamConfig) -> IPv4Address:
    """The gateway's address where none was chosen: the first of the range that is not set aside."""
    span = IPv4Network(wanted.ip_range) if wanted.ip_range else subnet
    aside = {IPv4Address(each) for each in wanted.auxiliary.values()}
    first = span.network_address + (1 if span.network_address == subnet.network_address else 0)
    while first in aside:
        first += 1
    return first


def _boolean(value: bool) -> str:  # noqa: FBT001
    return "true" if value else "false"
