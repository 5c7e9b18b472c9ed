"""The networks that there are: predefined ones, and those that users make. On the networks' thread only."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_interface, ip_network
from typing import Final

from dockerd.networks.drivers.bridge import BridgeDriver
from dockerd.networks.errors import (
    AmbiguousNetwork,
    ConfigurationInUse,
    ConfigurationNotFound,
    ConfigurationOnly,
    HasEndpoints,
    NameTaken,
    NetworkNotFound,
    PoolOverlaps,
    PredefinedCreation,
    PredefinedRemoval,
)
from dockerd.networks.firewall.nftables import Firewall
from dockerd.networks.ipam.pools import choose_subnet, default_bases
from dockerd.networks.model import (
    OPTION_BRIDGE_NAME,
    OPTION_DEFAULT_BRIDGE,
    OPTION_HOST_BINDING,
    OPTION_ICC,
    OPTION_INHIBIT,
    OPTION_MASQUERADE,
    OPTION_MODE_4,
    OPTION_MODE_6,
    OPTION_MTU,
    OPTION_TRUSTED,
    PREDEFINED,
    BridgeConfig,
    BridgeFamily,
    GatewayMode,
    IpAddress,
    IpamConfig,
    IpNetwork,
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
        self._known: dict[NetworkId, NetworkRecord] = {}

    def open(self) -> None:
        """Bring every network into the kernel; the caller makes the firewall's table afterwards."""
        known = {each.name: each for each in self._store.networks() if each.name in PREDEFINED}
        made = [each for each in self._store.networks() if each.name not in PREDEFINED]
        predefined = (
            self._default_bridge(known.get("bridge")),
            known.get("host") or new_network("host", "host"),
            known.get("none") or new_network("none", "null"),
        )
        for record in predefined:
            if record not in self._store.networks():
                self._store.save_network(record)
        for record in (*predefined, *made):
            self._known[record.network_id] = record
            if record.driver == "bridge":
                self._bridge.add_network(record, self._bridge_config(record))

    # -- finding

    def every(self) -> tuple[NetworkRecord, ...]:
        """All networks."""
        return tuple(self._known.values())

    def find(self, reference: str) -> NetworkRecord:
        """By id, name or unambiguous prefix of an id; raises NetworkNotFound, AmbiguousNetwork."""
        if (known := self._known.get(NetworkId(reference))) is not None:
            return known
        named = self._named(reference)
        if len(named) > 1:
            raise AmbiguousNetwork(reference, len(named), "on name")
        matches = named or [
            record
            for record in self.every()
            if reference and record.network_id.startswith(reference)
        ]
        if len(matches) > 1:
            raise AmbiguousNetwork(reference, len(matches), "based on ID prefix")
        if not matches:
            raise NetworkNotFound(reference)
        return matches[0]

    def _named(self, name: str) -> list[NetworkRecord]:
        return [record for record in self.every() if record.name == name]

    def joinable(self, reference: str) -> NetworkRecord:
        """A network that containers can be on; raises ConfigurationOnly, too."""
        record = self.find(reference)
        if record.config_only:
            raise ConfigurationOnly
        return record

    def configuration(self, name: str) -> NetworkRecord:
        """A configuration-only network by its name; raises ConfigurationNotFound."""
        for record in self._named(name):
            if record.config_only:
                return record
        raise ConfigurationNotFound(name)

    # -- changing

    def create(self, draft: NetworkRecord, *, namesakes: bool = False) -> NetworkRecord:
        """Make a user-defined bridge; without a subnet it gets one. A configuration is only remembered.

        ``namesakes`` allows several of a name, which are found by their ids alone.
        Raises NameTaken, PoolOverlaps, ForeignBridge, ConfigurationNotFound.
        """
        if draft.name in PREDEFINED:
            raise PredefinedCreation(draft.name)
        if self._named(draft.name) and not namesakes:
            raise NameTaken(draft.name)
        if draft.config_from:
            # It may have been removed since it was read.
            self.configuration(draft.config_from)
        if draft.config_only:
            self._store.save_network(draft)
            self._known[draft.network_id] = draft
            return draft
        record = replace(
            draft, ipam=tuple(self._subnet(draft, version) for version in _versions(draft))
        )
        config = self._bridge_config(record)
        # Durable before it exists: a daemon that dies here makes it at its next start.
        self._store.save_network(record)
        try:
            self._bridge.add_network(record, config)
            self._firewall.ensure()
        except BaseException:
            self._bridge.remove_network(record)
            self._store.remove_network(record.network_id)
            raise
        self._known[record.network_id] = record
        return record

    def remove(self, reference: str) -> NetworkRecord:
        """Remove a network that nobody uses; raises NetworkNotFound, PredefinedRemoval, HasEndpoints, ConfigurationInUse."""
        record = self.find(reference)
        if record.predefined:
            raise PredefinedRemoval(record.name)
        if record.config_only:
            if any(each.config_from == record.name for each in self.every()):
                raise ConfigurationInUse(record.name)
            del self._known[record.network_id]
            self._store.remove_network(record.network_id)
            return record
        users = [
            (each.container_name, each.endpoint_id)
            for each in self._store.endpoints()
            if each.network_id == record.network_id
        ]
        if users:
            raise HasEndpoints(record.name, users)
        del self._known[record.network_id]
        self._bridge.remove_network(record)
        self._firewall.ensure()
        self._store.remove_network(record.network_id)
        return record

    # -- inside

    def _subnet(self, draft: NetworkRecord, version: int) -> IpamConfig:
        taken = [ip_network(each.subnet) for each in _pools(self.every())]
        wanted = draft.pool(version) or IpamConfig(subnet="")
        if wanted.subnet:
            subnet = ip_network(wanted.subnet)
            if any(_overlap(subnet, each) for each in taken):
                raise PoolOverlaps
        else:
            subnet = self._free_subnet(version, taken)
        gateway = wanted.gateway
        if not gateway and not _without_gateway(draft, version):
            gateway = str(_first_free(subnet, wanted))
        return replace(wanted, subnet=str(subnet), gateway=gateway)

    def _free_subnet(self, version: int, taken: list[IpNetwork]) -> IpNetwork:
        """A subnet that neither a network of ours nor the host has."""
        settings = self._settings
        used = [*taken, *routes.destinations(self._connection)]
        return choose_subnet(
            version, default_bases(settings.address_pools, settings.engine_id), used
        )

    def _bridge_config(self, record: NetworkRecord) -> BridgeConfig:
        options = record.options
        default = record.name == "bridge"
        return BridgeConfig(
            name=options.get(OPTION_BRIDGE_NAME) or f"br-{record.network_id[:_SHORT_ID]}",
            mtu=int(options.get(OPTION_MTU) or _MTU),
            icc=options.get(OPTION_ICC, "true") == "true",
            masquerade=not record.internal and options.get(OPTION_MASQUERADE, "true") == "true",
            owner=self._firewall.table,
            internal=record.internal and not default,
            trusted=trusted(options),
            ipv4=_family(record, 4),
            ipv6=_family(record, 6),
        )

    def _default_bridge(self, known: NetworkRecord | None) -> NetworkRecord:
        """The record of the default bridge with today's settings; its id and, without --bip, its subnets stay."""
        settings = self._settings
        ipam = [self._default_pool(known, 4, settings.bip, settings.fixed_cidr)]
        if settings.ipv6:
            ipam.append(self._default_pool(known, 6, settings.bip6, settings.fixed_cidr_v6))
        return replace(
            known or new_network("bridge", "bridge"),
            enable_ipv6=settings.ipv6,
            ipam=tuple(ipam),
            options={
                OPTION_DEFAULT_BRIDGE: "true",
                OPTION_ICC: _boolean(settings.enable_icc),
                OPTION_MASQUERADE: _boolean(settings.enable_ip_masquerade),
                OPTION_HOST_BINDING: settings.default_host_ip,
                OPTION_BRIDGE_NAME: settings.bridge,
                OPTION_MTU: str(settings.mtu),
            },
        )

    def _default_pool(
        self, known: NetworkRecord | None, version: int, own: str | None, fixed: str | None
    ) -> IpamConfig:
        """The default bridge's subnet: by its address, else by the range of its containers, else the one it had."""
        earlier = known.pool(version) if known is not None else None
        if own:
            address = ip_interface(own)
            return IpamConfig(
                subnet=str(address.network), gateway=str(address.ip), ip_range=fixed or ""
            )
        if fixed and version == 6:
            subnet = ip_network(fixed, strict=False)
            return IpamConfig(subnet=str(subnet), gateway=str(subnet[1]), ip_range="")
        if earlier is not None:
            return replace(earlier, ip_range=fixed or "")
        taken = [ip_network(each.subnet) for each in _pools(self._store.networks())]
        subnet = self._free_subnet(version, taken)
        return IpamConfig(subnet=str(subnet), gateway=str(subnet[1]), ip_range=fixed or "")


def trusted(options: Mapping[str, str]) -> tuple[str, ...]:
    """The host's interfaces behind which clients may use containers' own addresses."""
    return tuple(each for each in options.get(OPTION_TRUSTED, "").split(":") if each)


def new_network(name: str, driver: str) -> NetworkRecord:
    """A record with a fresh id."""
    return NetworkRecord(
        network_id=NetworkId(os.urandom(32).hex()),
        name=name,
        driver=driver,
        created=datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
    )


def _pools(records: Iterable[NetworkRecord]) -> Iterable[IpamConfig]:
    """The subnets that are taken: those of configurations are only wishes."""
    return (each for record in records if not record.config_only for each in record.ipam)


def _versions(record: NetworkRecord) -> list[int]:
    chosen = {4: record.enable_ipv4, 6: record.enable_ipv6}
    return [version for version, enabled in chosen.items() if enabled]


def _overlap(one: IpNetwork, other: IpNetwork) -> bool:
    """Whether they have an address in common; never, for different IP versions."""
    return one.network_address in other or other.network_address in one


def _mode(record: NetworkRecord, version: int) -> GatewayMode:
    key = OPTION_MODE_4 if version == 4 else OPTION_MODE_6
    return GatewayMode(record.options.get(key) or GatewayMode.NAT)


def _inhibited(record: NetworkRecord, version: int) -> bool:
    return version == 4 and record.options.get(OPTION_INHIBIT) == "true"


def _without_gateway(record: NetworkRecord, version: int) -> bool:
    """Whether nobody would ever use the gateway's address."""
    return _mode(record, version) is GatewayMode.ISOLATED or (
        record.internal and _inhibited(record, version)
    )


def _family(record: NetworkRecord, version: int) -> BridgeFamily | None:
    ipam = record.pool(version)
    if ipam is None:
        return None
    return BridgeFamily(
        subnet=ip_network(ipam.subnet),
        gateway=ip_address(ipam.gateway) if ipam.gateway else None,
        mode=_mode(record, version),
        ip_range=ip_network(ipam.ip_range) if ipam.ip_range else None,
        reserved=tuple(ip_address(each) for each in ipam.auxiliary.values()),
        inhibited=_inhibited(record, version),
    )


def _first_free(subnet: IpNetwork, wanted: IpamConfig) -> IpAddress:
    """The gateway's address where none was chosen: the first of the range that is not set aside."""
    span = ip_network(wanted.ip_range) if wanted.ip_range else subnet
    aside = {ip_address(each) for each in wanted.auxiliary.values()}
    first = 1 if span.network_address == subnet.network_address and span.num_addresses > 2 else 0
    while span[first] in aside:
        first += 1
    return span[first]


def _boolean(value: bool) -> str:  # noqa: FBT001
    return "true" if value else "false"
