"""Docker's sentences about networks, one class a message."""

from __future__ import annotations

from collections.abc import Iterable

from wire.errors import (
    Conflict,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    NotImplementedYet,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)


class NetworkNotFound(NotFound):
    """No network has that name or id."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"network {reference} not found")


class AmbiguousNetwork(InvalidArgument):
    """A name or an id prefix matches several networks."""

    def __init__(self, reference: str, matches: int, by: str) -> None:
        super().__init__(f"network {reference} is ambiguous ({matches} matches found {by})")


class PredefinedRemoval(PermissionDenied):
    """bridge, host and none stay."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is a pre-defined network and cannot be removed")


class PredefinedCreation(PermissionDenied):
    """Nobody may take the name of a network that the daemon makes."""

    def __init__(self, name: str) -> None:
        super().__init__(f"operation is not permitted on predefined {name} network ")


class NamespaceNotRunning(Conflict):
    """``--network container:x`` needs a running x."""

    def __init__(self, container: str) -> None:
        super().__init__(
            f"cannot join network namespace of a non running container: container {container} is not running"
        )


class AddressInUse(PermissionDenied):
    """The address asked for belongs to another endpoint."""

    def __init__(self) -> None:
        super().__init__("Address already in use")


class AddressOutOfRange(InvalidArgument):
    """The address asked for is outside of the network."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"invalid endpoint settings: no configured subnet contains IP address {address}"
        )


class StaticAddressOnDefault(InvalidArgument):
    """Docker lets users choose addresses on their own networks only."""

    def __init__(self) -> None:
        super().__init__("user specified IP address is supported on user defined networks only")


class StaticAddressOnOwnPool(InvalidArgument):
    """Addresses of subnets that the daemon chose may change."""

    def __init__(self) -> None:
        super().__init__(
            "invalid config for network: invalid endpoint settings:\nuser specified IP address is supported only when"
            " connecting to networks with user configured subnets"
        )


class NameTaken(Conflict):
    """There is a network of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"network with name {name} already exists")


class NameEmpty(InvalidArgument):
    """A network needs a name."""

    def __init__(self) -> None:
        super().__init__("invalid network name: name is empty")


class PoolOverlaps(PermissionDenied):
    """A subnet is another network's, or the host's."""

    def __init__(self) -> None:
        super().__init__("invalid pool request: Pool overlaps with other one on this address space")


class InvalidNetwork(InvalidArgument):
    """What a network shall be like does not fit together."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"invalid network config:\n{cause}")


class DriverMissing(NotFound):
    """There is no such driver."""

    def __init__(self, name: str) -> None:
        super().__init__(f"could not find plugin {name} in v1 plugin registry: plugin not found")


class DriverNotBuilt(NotImplementedYet):
    """Docker has it, this version does not."""

    def __init__(self, name: str) -> None:
        super().__init__(f"network driver {name} is not implemented yet")


class OnlyOneInstance(PermissionDenied):
    """host and none exist once."""

    def __init__(self, driver: str) -> None:
        super().__init__(f'only one instance of "{driver}" network is allowed')


class ConfigurationNotFound(NotFound):
    """No configuration-only network has that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f'configuration network "{name}" does not exist')


class ConfigurationInUse(PermissionDenied):
    """Other networks were made with a configuration."""

    def __init__(self, name: str) -> None:
        super().__init__(f'error while removing network: configuration network "{name}" is in use')


class ConfigurationOnly(PermissionDenied):
    """A configuration is not a network that containers can be on."""

    def __init__(self) -> None:
        super().__init__("cannot create endpoint on configuration-only network")


class OperatorFields(PermissionDenied):
    """A configuration has only what is a network's own."""

    def __init__(self) -> None:
        super().__init__(
            "configuration network can only contain network specific fields. Network operator fields like [ ingress |"
            " internal | attachable | scope ] are not supported."
        )


class ConfigurationOfConfiguration(PermissionDenied):
    """One step is enough."""

    def __init__(self) -> None:
        super().__init__("a configuration network cannot depend on another configuration network")


class OwnConfiguration(PermissionDenied):
    """What comes from a configuration cannot be said again."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} are not supported if the network depends on a configuration network"
        )


class HasEndpoints(PermissionDenied):
    """A network that running containers use."""

    def __init__(self, name: str, endpoints: Iterable[tuple[str, str]]) -> None:
        shown = ", ".join(f'name:"{each}" id:"{found[:12]}"' for each, found in endpoints)
        super().__init__(
            f"error while removing network: network {name} has active endpoints ({shown})"
        )


class EndpointExists(PermissionDenied):
    """Connected twice."""

    def __init__(self, container: str, network: str) -> None:
        super().__init__(f"endpoint with name {container} already exists in network {network}")


class NotConnected(Internal):
    """Disconnected without being connected."""

    def __init__(self, container: str, network: str) -> None:
        super().__init__(f"container {container} is not connected to network {network}")


class NoAddressLeft(ResourceExhausted):
    """The pool is used up."""

    def __init__(self, version: int) -> None:
        super().__init__(f"no available IPv{version} addresses on this network's address pools")


class PoolsExhausted(InvalidArgument):
    """Every subnet of the default pools is somebody's."""

    def __init__(self) -> None:
        super().__init__("all predefined address pools have been fully subnetted")


class SeveralSubnets(PermissionDenied):
    """A bridge has one subnet of each IP version."""

    def __init__(self) -> None:
        super().__init__("bridge driver doesn't support multiple subnets")


class InvalidEndpoint(InvalidArgument):
    """What a container wants of a network does not fit together."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"invalid endpoint settings:\n{cause}")


class PortAllocated(Internal):
    """Another container of ours has the host port."""

    def __init__(self, host_ip: str, port: int) -> None:
        super().__init__(f"Bind for {host_ip}:{port} failed: port is already allocated")


class PortTaken(Internal):
    """Another process has the host port, or the address is not on this host."""

    def __init__(self, binding: str, cause: str) -> None:
        super().__init__(f"failed to bind host port for {binding}: {cause}")


class AllPortsAllocated(Internal):
    """A port range is used up."""

    def __init__(self) -> None:
        super().__init__("all ports are allocated")


class ConnectivityFailed(Internal):
    """The frame around every port failure, with the endpoint's name."""

    def __init__(self, name: str, endpoint_id: str, cause: str) -> None:
        super().__init__(
            f"driver failed programming external connectivity on endpoint {name} ({endpoint_id}): {cause}"
        )


class InvalidPort(InvalidArgument):
    """A port or range is not one."""

    def __init__(self, text: str) -> None:
        super().__init__(f"invalid port specification: {text!r}".replace("'", '"'))


class InvalidProtocol(InvalidArgument):
    """Only tcp, udp and sctp have ports."""

    def __init__(self, text: str) -> None:
        super().__init__(f"invalid proto: {text}")


class InvalidAddress(InvalidArgument):
    """An address cannot be parsed."""

    def __init__(self, what: str, text: str) -> None:
        super().__init__(f"invalid {what}: {text}")


class FirewallUnavailable(Unavailable):
    """This host's kernel or libraries lack nftables."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            "published ports and masquerading need nftables (libnftables.so.1 and the nf_tables kernel module); "
            f"iptables-only hosts are not served: {cause}"
        )


class ForeignBridge(FailedPrecondition):
    """A bridge of that name is another engine's."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"bridge {name} belongs to another engine; choose another one with --bridge and --bip"
        )
