"""Values of the network domain, shared by the controller, its drivers and its callers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
)
from typing import Final, NewType

NetworkId = NewType("NetworkId", str)
EndpointId = NewType("EndpointId", str)
ContainerId = NewType("ContainerId", str)
SandboxId = NewType("SandboxId", str)

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network
IpInterface = IPv4Interface | IPv6Interface

PREDEFINED: Final = frozenset({"bridge", "host", "none"})

OPTION_DEFAULT_BRIDGE: Final = "com.docker.network.bridge.default_bridge"
OPTION_ICC: Final = "com.docker.network.bridge.enable_icc"
OPTION_MASQUERADE: Final = "com.docker.network.bridge.enable_ip_masquerade"
OPTION_HOST_BINDING: Final = "com.docker.network.bridge.host_binding_ipv4"
OPTION_BRIDGE_NAME: Final = "com.docker.network.bridge.name"
OPTION_MTU: Final = "com.docker.network.driver.mtu"
OPTION_INHIBIT: Final = "com.docker.network.bridge.inhibit_ipv4"
OPTION_MODE_4: Final = "com.docker.network.bridge.gateway_mode_ipv4"
OPTION_MODE_6: Final = "com.docker.network.bridge.gateway_mode_ipv6"
OPTION_TRUSTED: Final = "com.docker.network.bridge.trusted_host_interfaces"
OPTION_PREFIX: Final = "com.docker.network.container_iface_prefix"
OPTION_ENABLE_4: Final = "com.docker.network.enable_ipv4"
OPTION_ENABLE_6: Final = "com.docker.network.enable_ipv6"
ENDPOINT_SYSCTLS: Final = "com.docker.network.endpoint.sysctls"
ENDPOINT_INTERFACE: Final = "com.docker.network.endpoint.ifname"


class Protocol(StrEnum):
    """Transport protocols whose ports can be published."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


class GatewayMode(StrEnum):
    """How the other side of a bridge is reached, and reaches it."""

    NAT = "nat"
    UNPROTECTED = "nat-unprotected"
    """Translated on the way out; whoever has a route to a container reaches every port of it."""
    ROUTED = "routed"
    """Nothing is translated; publishing a port opens it on the container's own address."""
    ISOLATED = "isolated"
    """The host itself has no address on the bridge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """What the daemon's flags say about networks.

    ``bip`` and ``bridge`` separate stacks that run side by side; ``table`` is derived from the bridge name if empty.
    """

    data_root: str
    exec_root: str
    bridge: str = "docker0"
    bip: str | None = None
    fixed_cidr: str | None = None
    ipv6: bool = False
    """Whether the default bridge has IPv6, too."""
    bip6: str | None = None
    fixed_cidr_v6: str | None = None
    engine_id: str = ""
    """Names the engine's own unique local addresses."""
    mtu: int = 1500
    enable_icc: bool = True
    enable_ip_masquerade: bool = True
    enable_ip_forward: bool = True
    default_host_ip: str = "0.0.0.0"  # noqa: S104 - published ports are for everybody, as in Docker
    userland_proxy: bool = True
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    host_gateway: str | None = None
    address_pools: tuple[tuple[str, int], ...] = ()
    """Networks and the prefix lengths of the subnets that are cut from them; empty for Docker's own."""
    table: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IpamConfig:
    """One subnet of a network."""

    subnet: str
    gateway: str = ""
    ip_range: str = ""
    auxiliary: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecord:
    """A network as it is stored and shown."""

    network_id: NetworkId
    name: str
    driver: str
    created: str
    scope: str = "local"
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: str = ""
    ipam_driver: str = "default"
    ipam_options: Mapping[str, str] | None = None
    ipam: tuple[IpamConfig, ...] = ()
    own_subnets: bool = False
    """Whether the user chose the IPv4 subnet, so that static addresses are allowed."""
    own_subnets_v6: bool = False
    """The same of the IPv6 subnet."""
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def predefined(self) -> bool:
        """Whether the daemon made this network, so that nobody may remove it."""
        return self.name in PREDEFINED

    def pool(self, version: int) -> IpamConfig | None:
        """The network's subnet of an IP version; bridges have at most one of each."""
        return next((each for each in self.ipam if (":" in each.subnet) == (version == 6)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkAttachment:
    """One container as ``network inspect`` lists it; addresses with their prefix."""

    container_id: ContainerId
    name: str
    endpoint_id: EndpointId
    mac: str
    ipv4: str
    ipv6: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkView:
    """A network together with the containers on it."""

    network: NetworkRecord
    containers: tuple[NetworkAttachment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PortBinding:
    """A host address and port as the user wrote them: either may be empty, the port may be a range."""

    host_ip: str = ""
    host_port: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPort:
    """A host address and port that lead to a port of the container."""

    protocol: Protocol
    container_port: int
    host_ip: str
    host_port: int
    routed: bool = False
    """Open on the container's own address; the host has no port for it."""

    @property
    def key(self) -> str:
        """The container's side, as in ``80/tcp``."""
        return f"{self.container_port}/{self.protocol}"

    @property
    def fd_name(self) -> str:
        """The name under which the reserving socket is kept in the supervisor's fd store.

        Colons separate fields in LISTEN_FDNAMES, so those of an IPv6 address become underscores.
        """
        return f"port-{self.protocol}-{self.host_ip.replace(':', '_')}-{self.host_port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRecord:
    """One container's place on one network, recorded before anything of it exists in the kernel."""

    endpoint_id: EndpointId
    network_id: NetworkId
    network_name: str
    container_id: ContainerId
    container_name: str
    sandbox_id: SandboxId
    netns_path: str
    driver: str
    interface: str = ""
    host_interface: str = ""
    mac: str = ""
    ipv4: str = ""
    prefix: int = 0
    gateway: str = ""
    ipv6: str = ""
    prefix6: int = 0
    gateway6: str = ""
    link_local: tuple[str, ...] = ()
    """Further addresses with their prefix, which no pool knows."""
    sysctls: Mapping[str, str] = field(default_factory=dict)
    """Kernel settings of the interface, by their paths below /proc/sys."""
    mtu: int = 0
    hostname: str = ""
    aliases: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    requested_ipv4: str = ""
    requested_ipv6: str = ""
    requested_mac: str = ""
    exposed: tuple[str, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    gateway_priority: int = 0
    default_route: bool = True
    """Whether the container's IPv4 default route leads through this endpoint."""
    default_route6: bool = True
    """Whether the container's IPv6 default route leads through this endpoint."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Aliases that this container alone knows, with the ids of the containers behind them."""
    servers: tuple[str, ...] = ()
    """Where the embedded DNS forwards to."""
    boot_id: str = ""

    @property
    def interfaces(self) -> tuple[IpInterface, ...]:
        """All addresses of the endpoint with their prefixes."""
        own = ((self.ipv4, self.prefix), (self.ipv6, self.prefix6))
        found = [f"{address}/{prefix}" for address, prefix in own if address]
        return tuple(ip_interface(each) for each in (*found, *self.link_local))

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses that networks know it by, without prefixes."""
        return tuple(each for each in (self.ipv4, self.ipv6) if each)

    @property
    def routes(self) -> tuple[IpAddress, ...]:
        """The gateways of the default routes that lead through this endpoint."""
        chosen = ((self.gateway, self.default_route), (self.gateway6, self.default_route6))
        return tuple(ip_address(gateway) for gateway, wanted in chosen if gateway and wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRequest:
    """What a container wants of one network, by its name or id.

    ``options`` are the endpoint's driver options; ``link_local`` are addresses without a prefix.
    """

    network: str
    mac: str | None = None
    ipv4: str | None = None
    ipv6: str | None = None
    link_local: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    gateway_priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachRequest:
    """Everything a container start wants from the network.

    ``network`` is the container's NetworkMode: default, bridge, host, none, container:<full id>, or a network's name
    or id. ``exposed_ports`` are keys like ``80/tcp``; ``port_bindings`` maps such keys to bindings. A range in either
    ("8000-8010/tcp") is understood.
    """

    container_id: ContainerId
    container_name: str
    network: str = "default"
    hostname: str = ""
    domainname: str = ""
    exposed_ports: tuple[str, ...] = ()
    port_bindings: Mapping[str, tuple[PortBinding, ...]] = field(default_factory=dict)
    publish_all: bool = False
    primary: EndpointRequest | None = None
    """What it wants of ``network``, if anything in particular."""
    others: tuple[EndpointRequest, ...] = ()
    """Further networks, beside ``network``."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Aliases that this container alone knows, with the ids of the containers behind them."""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxFiles:
    """The content of the three files that are bind-mounted into a container's /etc."""

    hostname: str
    hosts: str
    resolv_conf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What a container start gets back.

    ``netns_path`` None means the host's network namespace. ``endpoints`` is empty for a container that joined
    another one's namespace. ``ports`` has the shape of NetworkSettings.Ports in ``docker inspect``.
    """

    container_id: ContainerId
    sandbox_id: str
    netns_path: str | None
    endpoints: tuple[EndpointRecord, ...]
    ports: Mapping[str, list[dict[str, str]] | None]
    files: SandboxFiles | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeFamily:
    """What a bridge has of one IP version."""

    subnet: IpNetwork
    gateway: IpAddress | None
    """None where neither the bridge nor a container needs one."""
    mode: GatewayMode = GatewayMode.NAT
    ip_range: IpNetwork | None = None
    reserved: tuple[IpAddress, ...] = ()
    """Addresses that are never given out."""
    inhibited: bool = False
    """Whether the bridge is left without the gateway's address, because somebody else has it."""

    @property
    def interface(self) -> IpInterface | None:
        """The bridge's own address."""
        if self.gateway is None or self.inhibited or self.mode is GatewayMode.ISOLATED:
            return None
        return ip_interface(f"{self.gateway}/{self.subnet.prefixlen}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeConfig:
    """A bridge as the kernel should have it."""

    name: str
    mtu: int
    icc: bool
    masquerade: bool
    owner: str
    internal: bool = False
    trusted: tuple[str, ...] = ()
    """Interfaces of the host from which published ports are reached on the containers' own addresses."""
    ipv4: BridgeFamily | None = None
    ipv6: BridgeFamily | None = None

    def family(self, version: int) -> BridgeFamily | None:
        """What it has of an IP version."""
        return self.ipv4 if version == 4 else self.ipv6

    @property
    def families(self) -> tuple[BridgeFamily, ...]:
        """What it has, IPv4 first."""
        return tuple(each for each in (self.ipv4, self.ipv6) if each is not None)
