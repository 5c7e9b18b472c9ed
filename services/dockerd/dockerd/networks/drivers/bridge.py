"""The bridge driver: a kernel bridge for each network, a veth pair for each endpoint, NAT and published ports."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
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
        ipam = network.ipam[0]
        self._allocator.add_network(
            network.network_id,
            config.subnet,
            config.gateway,
            IPv4Network(ipam.ip_range) if ipam.ip_range else None,
        )
        for address in config.reserved:
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
        self, network: NetworkRecord, request: AttachRequest, draft: EndpointRecord
    ) -> EndpointRecord:
        """Choose the address and bind the published ports."""
        if request.ipv4 and not network.own_subnets:
            raise StaticAddressOnDefault if network.predefined else StaticAddressOnOwnPool
        config = self._bridges[network.network_id]
        mac = naming.checked_mac(request.mac) if request.mac else None
        requests = bindings.plan(
            exposed=request.exposed_ports,
            bindings=request.port_bindings,
            publish_all=request.publish_all,
            default_addresses=(
                bindings.parse_address(
                    network.options.get(OPTION_HOST_BINDING) or self._settings.default_host_ip
                ),
            ),
            ipv6=False,
        )
        address = self._allocator.allocate(network.network_id, request.ipv4)
        try:
            ports = self._reservations.reserve(requests, str(address))
        except EngineError as error:
            self._allocator.release(network.network_id, str(address))
            raise ConnectivityFailed(
                request.container_name, draft.endpoint_id, error.message
            ) from error
        except BaseException:
            self._allocator.release(network.network_id, str(address))
            raise
        return replace(
            draft,
            interface=draft.interface or _INNER_NAME,
            host_interface=naming.new_host_interface(),
            mac=mac or naming.derived_mac(address),
            ipv4=str(address),
            prefix=config.subnet.prefixlen,
            gateway="" if network.internal else str(config.gateway),
            mtu=config.mtu,
            ports=ports,
        )

    def build(self, endpoint: EndpointRecord) -> None:
        """Make the namespace with its interface, then lead the published ports to it."""
        address = endpoint.address
        assert address is not None
        try:
            self._build_link(endpoint, address)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
            # Somebody deleted the bridge since we looked.
            self._ensure_bridge(endpoint.network_id)
            self._build_link(endpoint, address)
        if endpoint.ports:
            links.reflect_port(self._connection, endpoint.host_interface)
        self._firewall.publish(endpoint.ports, endpoint.ipv4)
        self._forget_flows(endpoint.ports)

    def teardown(self, endpoint: EndpointRecord) -> None:
        """Withdraw the ports and free the address; the veth pair goes with the namespace."""
        self._firewall.withdraw(endpoint.ports, endpoint.ipv4)
        self._reservations.release(endpoint.ports)
        self._forget_flows(endpoint.ports)
        link = links.find(self._connection, endpoint.host_interface)
        if link is not None:
            with contextlib.suppress(OSError):
                links.silence_port(self._connection, link.index)
        self._allocator.release(endpoint.network_id, endpoint.ipv4)

    def unplug(self, endpoint: EndpointRecord) -> None:
        """Take the veth pair out of a namespace that lives on."""
        link = links.find(self._connection, endpoint.host_interface)
        if link is not None:
            with contextlib.suppress(OSError):
                links.delete(self._connection, link.index)
        self.teardown(endpoint)

    def restore(self, endpoint: EndpointRecord) -> None:
        """Take the recorded address and ports again."""
        if endpoint.network_id not in self._bridges:
            return
        if not self._allocator.restore(endpoint.network_id, endpoint.ipv4):
            logger.warning(
                "address of a running container is outside its network",
                extra={"endpoint": endpoint.endpoint_id, "address": endpoint.ipv4},
            )
        self._reservations.restore(endpoint.ports, endpoint.ipv4)
        self._firewall.remember(endpoint.ports, endpoint.ipv4)

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

    def _build_link(self, endpoint: EndpointRecord, address: IPv4Interface) -> None:
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
                    address=address,
                    gateway=IPv4Address(endpoint.gateway)
                    if endpoint.gateway and endpoint.default_route
                    else None,
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
        wanted = IPv4Interface(f"{config.gateway}/{config.subnet.prefixlen}")
        present = addresses.every(self._connection, link.index)
        for other in present:
            if other != wanted:
                self._connection.run([addresses.remove(link.index, other)])
        if wanted not in present:
            self._connection.run([addresses.add(link.index, wanted)])
        if not link.up or link.alias != alias:
            links.change(self._connection, link.index, alias=alias, up=True)
        # 127.0.0.1:<published port> is led to the container; the guard chain drops what others send to 127/8.
        _set_sysctl(f"{_SYSCTL}/ipv4/conf/{config.name}/route_localnet", "1")
        _set_sysctl(f"{_SYSCTL}/ipv6/conf/{config.name}/disable_ipv6", "1")
        if self._settings.enable_ip_forward:
            _set_sysctl(f"{_SYSCTL}/ipv4/ip_forward", "1")

    def _forget_flows(self, ports: Iterable[PublishedPort]) -> None:
        udp = {port.host_port for port in ports if port.protocol is Protocol.UDP}
        if udp:
            with contextlib.suppress(OSError):
                conntrack.forget_udp(udp)


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
