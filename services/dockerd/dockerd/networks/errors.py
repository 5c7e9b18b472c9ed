"""Docker's sentences about networks, one class a message."""

from __future__ import annotations

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
    """An id prefix matches several networks."""

    def __init__(self, reference: str, matches: int) -> None:
        super().__init__(
            f"{matches} matches found based on ID prefix: network {reference} is ambiguous"
        )


class PredefinedRemoval(PermissionDenied):
    """bridge, host and none stay."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is a pre-defined network and cannot be removed")


class PredefinedCreation(PermissionDenied):
    """Nobody may take the name of a network that the daemon makes."""

    def __init__(self, name: str) -> None:
        super().__init__(f"operation is not permitted on predefined {name} network ")


class UserNetworksMissing(NotImplementedYet):
    """User-defined networks come with a later version."""

    def __init__(self, verb: str) -> None:
        super().__init__(
            f"network {verb} is not implemented yet: this version serves the predefined networks "
            "bridge, host and none"
        )


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


class NoAddressLeft(ResourceExhausted):
    """The pool is used up."""

    def __init__(self) -> None:
        super().__init__("no available IPv4 addresses on this network's address pools")


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


class InvalidFilter(InvalidArgument):
    """A list filter is unknown or malformed."""
