"""The bridge driver: a kernel bridge for each network, a veth pair for each endpoint, NAT and published ports."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from dockerd.networks.errors import (
    ConnectivityFailed,
    ForeignBridge,
    StaticAddressOnDefault,
    StaticAddressOnOwnPool,
)
from dockerd.networks.firewall.nftables import Firewall
from dockerd.networks.ipam.allocator import AddressAllocator
from dockerd.networks.model import (
    OPTION_HOST_BINDING,
    AttachRequest,
    BridgeConfig,
    EndpointRecord,
    EndpointRequest,
    GatewayMode,
    NetworkId,
    NetworkRecord,
    NetworkSettings,
    Protocol,
    PublishedPort,
)
from dockerd.networks.netlink import addresses, conntrack, links, namespaces
from dockerd.networks.netlink.connection import NetlinkConnection
from dockerd.networks.ports import bindings
from dockerd.networks.ports.reservations import PortReservations
from dockerd.networks.sandbox import endpoint as naming
from wire.errors import EngineError

logger = logging.getLogger(__name__)

_INNER_NAME: Final = "eth0"
_ALIAS: Final = "dockyard:"
_SYSCTL: Final = "/proc/sys/net"


class BridgeDriver:
    """All bridge networks of one stack. Used from the networks' thread only.

    ``home`` is a descriptor of the host's network namespace, ``connection`` a netlink socket in it.
    """

    def __init__(
        self,
        *,
        settings: NetworkSettings,
        home: int,
        connection: NetlinkConnection,
        allocator: AddressAllocator,
        reservations: PortReservations,
        firewall: Firewall,
    ) -> None:
        self._settings = settings
        self._home = home
        self._connection = connection
        self._allocator = allocator
        self._reservations = reservations
        self._firewall = firewall
        self._bridges: dict[NetworkId, BridgeConfig] = {}
        self._indexes: dict[NetworkId, int] = {}

    def add_network(self, network: NetworkRecord, config: BridgeConfig) -> None:
        """Make the network's bridge, or take it over, and open its address pool.

        Raises ForeignBridge if the name belongs to another engine's bridge, or to something that is no bridge.
        """
        self._bridges[network.network_id] = config
        for family in config.families:
            self._allocator.add_pool(
                network.network_id, family.subnet, family.gateway, family.ip_range
            )
            for address in family.reserved:
                self._allocator.restore(network.network_id, str(address))
        self._ensure_bridge(network.network_id)
        self._firewall.set_bridge(config)

    def remove_network(self, network: NetworkRecord) -> None:
        """Take the network's bridge away and close its address pool; harmless for one that is gone."""
        config = self._bridges.pop(network.network_id, None)
        self._indexes.pop(network.network_id, None)
        if config is None:
            return
        link = links.find(self._connection, config.name)
        if link is not None and link.alias == f"{_ALIAS}{config.owner}":
            with contextlib.suppress(OSError):
                links.delete(self._connection, link.index)
        self._allocator.remove_network(network.network_id)
        self._firewall.forget_bridge(config)

    def bridge_names(self) -> frozenset[str]:
        """The kernel's names of the bridges."""
        return frozenset(config.name for config in self._bridges.values())

    def plan(
        self,
        network: NetworkRecord,
        request: AttachRequest,
        wanted: EndpointRequest,
        draft: EndpointRecord,
    ) -> EndpointRecord:
        """Choose the addresses and bind the published ports."""
        _check_static(network, wanted)
        config = self._bridges[network.network_id]
        mac = naming.checked_mac(wanted.mac) if wanted.mac else None
        ports = self._port_plan(network, config, request)
        with contextlib.ExitStack() as undo:
            draft = self._with_addresses(network, config, wanted, draft, undo)
            try:
                published = self._reservations.reserve(ports.requests, draft.addresses)
            except EngineError as error:
                raise ConnectivityFailed(
                    request.container_name, draft.endpoint_id, error.message
                ) from error
            undo.pop_all()
        return replace(
            draft,
            interface=draft.interface or _INNER_NAME,
            host_interface=naming.new_host_interface(),
            mac=mac or naming.derived_mac(draft.ipv4),
            mtu=config.mtu,
            ports=(*published, *ports.opened),
        )

    def build(self, endpoint: EndpointRecord) -> None:
        """Make the namespace with its interface, then lead the published ports to it."""
        try:
            self._build_link(endpoint)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            # Somebody deleted the bridge since we looked.
            self._ensure_bridge(endpoint.network_id)
            self._build_link(endpoint)
        if endpoint.ports:
            links.reflect_port(self._connection, endpoint.host_interface)
        self._firewall.publish(endpoint.ports, endpoint.addresses)
        self._forget_flows(endpoint.ports)

    def teardown(self, endpoint: EndpointRecord) -> None:
        """Withdraw the ports and free the address; the veth pair goes with the namespace."""
        self._firewall.withdraw(endpoint.ports, endpoint.addresses)
        self._reservations.release(endpoint.ports)
        self._forget_flows(endpoint.ports)
        link = links.find(self._connection, endpoint.host_interface)
        if link is not None:
            with contextlib.suppress(OSError):
                links.silence_port(self._connection, link.index)
        for address in endpoint.addresses:
            self._allocator.release(endpoint.network_id, address)

    def unplug(self, endpoint: EndpointRecord) -> None:
        """Take the veth pair out of a namespace that lives on."""
        link = links.find(self._connection, endpoint.host_interface)
        if link is not None:
            with contextlib.suppress(OSError):
                links.delete(self._connection, link.index)
        self.teardown(endpoint)

    def restore(self, endpoint: EndpointRecord) -> None:
        """Take the recorded addresses and ports again."""
        if endpoint.network_id not in self._bridges:
            return
        for address in endpoint.addresses:
            if not self._allocator.restore(endpoint.network_id, address):
                logger.warning(
                    "address of a running container is outside its network",
                    extra={"endpoint": endpoint.endpoint_id, "address": address},
                )
        self._reservations.restore(endpoint.ports, endpoint.addresses)
        self._firewall.remember(endpoint.ports, endpoint.addresses)

    def repair(self, endpoints: Iterable[EndpointRecord]) -> None:
        """Bridges exist, live veth pairs are their ports, and no veth pair of ours is without an endpoint."""
        for network_id in self._bridges:
            self._ensure_bridge(network_id)
        known = {each.host_interface: each for each in endpoints if each.host_interface}
        ours = set(self._indexes.values())
        for link in links.every(self._connection):
            record = known.get(link.name)
            if record is not None and record.network_id in self._indexes:
                wanted = self._indexes[record.network_id]
                if link.master != wanted or not link.up:
                    links.change(self._connection, link.index, master=wanted, up=True)
            elif link.master in ours and naming.is_host_interface(link.name):
                with contextlib.suppress(OSError):
                    links.delete(self._connection, link.index)

    def _port_plan(
        self, network: NetworkRecord, config: BridgeConfig, request: AttachRequest
    ) -> bindings.PortPlan:
        return bindings.plan(
            exposed=request.exposed_ports,
            bindings=request.port_bindings,
            publish_all=request.publish_all,
            default_address=bindings.parse_address(
                network.options.get(OPTION_HOST_BINDING) or self._settings.default_host_ip
            ),
            routed={
                each.subnet.version: each.mode is GatewayMode.ROUTED for each in config.families
            },
        )

    def _with_addresses(
        self,
        network: NetworkRecord,
        config: BridgeConfig,
        wanted: EndpointRequest,
        draft: EndpointRecord,
        undo: contextlib.ExitStack,
    ) -> EndpointRecord:
        """The draft with an address of each version that the network has."""
        asked = {4: wanted.ipv4, 6: wanted.ipv6}
        found: dict[int, tuple[str, int, str]] = {4: ("", 0, ""), 6: ("", 0, "")}
        for version in (4, 6):
            family = config.family(version)
            if family is None and not asked[version]:
                continue
            address = self._allocator.allocate(network.network_id, version, asked[version])
            undo.callback(self._allocator.release, network.network_id, str(address))
            assert family is not None
            led = not network.internal and family.gateway is not None
            gateway = str(family.gateway) if led else ""
            found[version] = (str(address), family.subnet.prefixlen, gateway)
        return replace(
            draft,
            ipv4=found[4][0], prefix=found[4][1], gateway=found[4][2],
            ipv6=found[6][0], prefix6=found[6][1], gateway6=found[6][2],
        )  # fmt: skip

    def _build_link(self, endpoint: EndpointRecord) -> None:
        exists = os.path.exists(endpoint.netns_path)
        enter = namespaces.joined if exists else namespaces.created
        with enter(endpoint.netns_path, self._home) as inner:
            namespaces.furnish(
                self._connection,
                inner,
                namespaces.InnerLink(
                    name=endpoint.interface,
                    host_name=endpoint.host_interface,
                    mac=endpoint.mac,
                    mtu=endpoint.mtu,
                    master=self._indexes[endpoint.network_id],
                    addresses=endpoint.interfaces,
                    gateways=endpoint.routes,
                    sysctls=endpoint.sysctls,
                ),
            )

    def _ensure_bridge(self, network_id: NetworkId) -> None:
        config = self._bridges[network_id]
        alias = f"{_ALIAS}{config.owner}"
        link = links.find(self._connection, config.name)
        if link is None:
            links.create_bridge(
                self._connection, name=config.name, mac=naming.bridge_mac(), mtu=config.mtu
            )
            link = links.find(self._connection, config.name)
            assert link is not None
        elif link.kind != "bridge" or link.alias not in {"", alias}:
            raise ForeignBridge(config.name)
        elif not link.alias and any(
            each.master == link.index for each in links.every(self._connection)
        ):
            # An engine that is running: its containers hang on this bridge.
            raise ForeignBridge(config.name)
        self._indexes[network_id] = link.index
        # Before it is up: no router's advertisement is ever heard (CVE-2020-13401), and no address made of one.
        ipv6 = config.ipv6 is not None and config.ipv6.mode is not GatewayMode.ISOLATED
        _set_sysctl(f"{_SYSCTL}/ipv6/conf/{config.name}/accept_ra", "0")
        # A router asks its neighbours from its link-local address: while duplicates of that are looked for, for a second
        # or two after the first container came, nothing would be forwarded.
        _set_sysctl(f"{_SYSCTL}/ipv6/conf/{config.name}/accept_dad", "0")
        _set_sysctl(f"{_SYSCTL}/ipv6/conf/{config.name}/disable_ipv6", "0" if ipv6 else "1")
        self._ensure_addresses(config, link.index)
        if not link.up or link.alias != alias:
            links.change(self._connection, link.index, alias=alias, up=True)
        # 127.0.0.1:<published port> is led to the container; the guard chain drops what others send to 127/8.
        _set_sysctl(f"{_SYSCTL}/ipv4/conf/{config.name}/route_localnet", "1")
        if self._settings.enable_ip_forward:
            _set_sysctl(f"{_SYSCTL}/ipv4/ip_forward", "1")
        if self._settings.enable_ip_forward and ipv6:
            _set_sysctl(f"{_SYSCTL}/ipv6/conf/default/forwarding", "1")
            _set_sysctl(f"{_SYSCTL}/ipv6/conf/all/forwarding", "1")

    def _ensure_addresses(self, config: BridgeConfig, index: int) -> None:
        """The bridge has its own addresses and no others, but for the link-local one that the kernel gives it."""
        wanted = [each for family in config.families if (each := family.interface) is not None]
        present = addresses.every(self._connection, index)
        for other in present:
            if other not in wanted and not (other.version == 6 and other.ip.is_link_local):
                self._connection.run([addresses.remove(index, other)])
        missing = [addresses.add(index, each) for each in wanted if each not in present]
        if missing:
            self._connection.run(missing)

    def _forget_flows(self, ports: Iterable[PublishedPort]) -> None:
        udp = {port.host_port for port in ports if port.protocol is Protocol.UDP}
        if udp:
            with contextlib.suppress(OSError):
                conntrack.forget_udp(udp)


def _check_static(network: NetworkRecord, wanted: EndpointRequest) -> None:
    chosen = ((wanted.ipv4, network.own_subnets), (wanted.ipv6, network.own_subnets_v6))
    for address, own in chosen:
        if address and network.predefined:
            raise StaticAddressOnDefault
        # Of a version that the network has not, the allocator says that it is out of range.
        if address and not own and network.pool(6 if ":" in address else 4) is not None:
            raise StaticAddressOnOwnPool


def _set_sysctl(path: str, value: str) -> None:
    try:
        with open(path, "r+b", buffering=0) as setting:
            if setting.read().strip() != value.encode():
                # sysctl_writes_strict: a number written anywhere but at the start is dropped without an error.
                setting.seek(0)
                setting.write(value.encode())
    except FileNotFoundError:
        return
    except OSError as error:
        logger.warning(
            "sysctl not set", extra={"path": path, "error": os.strerror(error.errno or 0)}
        )
