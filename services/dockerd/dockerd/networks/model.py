"""Values of the network domain, shared by the controller, its drivers and its callers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Final, NewType

NetworkId = NewType("NetworkId", str)
EndpointId = NewType("EndpointId", str)
ContainerId = NewType("ContainerId", str)
SandboxId = NewType("SandboxId", str)

PREDEFINED: Final = frozenset({"bridge", "host", "none"})

OPTION_DEFAULT_BRIDGE: Final = "com.docker.network.bridge.default_bridge"
OPTION_ICC: Final = "com.docker.network.bridge.enable_icc"
OPTION_MASQUERADE: Final = "com.docker.network.bridge.enable_ip_masquerade"
OPTION_HOST_BINDING: Final = "com.docker.network.bridge.host_binding_ipv4"
OPTION_BRIDGE_NAME: Final = "com.docker.network.bridge.name"
OPTION_MTU: Final = "com.docker.network.driver.mtu"


class Protocol(StrEnum):
    """Transport protocols whose ports can be published."""

    TCP = "tcp"
    UDP = "udp"
    SCTP = "sctp"


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
    """Whether the user chose the subnets, so that static addresses are allowed."""
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def predefined(self) -> bool:
        """Whether the daemon made this network, so that nobody may remove it."""
        return self.name in PREDEFINED


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
    mtu: int = 0
    hostname: str = ""
    aliases: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    requested_ipv4: str = ""
    requested_mac: str = ""
    exposed: tuple[str, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    gateway_priority: int = 0
    default_route: bool = True
    """Whether the container's default route leads through this endpoint."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Aliases that this container alone knows, with the ids of the containers behind them."""
    servers: tuple[str, ...] = ()
    """Where the embedded DNS forwards to."""
    boot_id: str = ""

    @property
    def address(self) -> IPv4Interface | None:
        """The endpoint's address with its prefix, if it has one."""
        return IPv4Interface(f"{self.ipv4}/{self.prefix}") if self.ipv4 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRequest:
    """What a container wants of one network, by its name or id."""

    network: str
    mac: str | None = None
    ipv4: str | None = None
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
    mac: str | None = None
    ipv4: str | None = None
    aliases: tuple[str, ...] = ()
    gateway_priority: int = 0
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
class BridgeConfig:
    """A bridge as the kernel should have it."""

    name: str
    subnet: IPv4Network
    gateway: IPv4Address
    mtu: int
    icc: bool
    masquerade: bool
    owner: str
    internal: bool = False
    reserved: tuple[IPv4Address, ...] = ()
    """Addresses that are never given out."""
