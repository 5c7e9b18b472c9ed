"""What the user asked to publish, parsed: no sockets, no state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from dockerd.fields import is_number
from dockerd.networks.errors import InvalidAddress, InvalidPort, InvalidProtocol
from dockerd.networks.model import IpAddress, PortBinding, Protocol, PublishedPort

Address = IpAddress

ANY_IPV4: Final = IPv4Address(0)
ANY_IPV6: Final = IPv6Address(0)
_HIGHEST: Final = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRange:
    """Consecutive ports; the whole ephemeral range if ``first`` is 0."""

    first: int
    last: int

    @property
    def single(self) -> bool:
        """Whether exactly one port will do."""
        return self.first == self.last and self.first != 0

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRequest:
    """One port of the container that wants the same host port on some addresses."""

    protocol: Protocol
    container_port: int
    addresses: tuple[Address, ...]
    host: PortRange


def parse_range(text: str) -> PortRange:
    """``8080`` or ``8000-8010``; empty means any."""
    if not text:
        return PortRange(first=0, last=0)
    low, dash, high = text.partition("-")
    first = _port(low, text)
    last = _port(high, text) if dash else first
    if last < first or (dash and first == 0):
        raise InvalidPort(text)
    return PortRange(first=first, last=last)


def parse_key(key: str) -> tuple[PortRange, Protocol]:
    """A container port or range with its protocol, ``80`` meaning ``80/tcp``."""
    ports, _, protocol = key.partition("/")
    parsed = parse_range(ports)
    if parsed.first == 0:
        raise InvalidPort(key)
    try:
        return parsed, Protocol((protocol or "tcp").lower())
    except ValueError:
        raise InvalidProtocol(protocol) from None


def exposed_keys(keys: Sequence[str]) -> Iterator[str]:
    """Keys with their ranges spread out: ``80-81/tcp`` is ``80/tcp`` and ``81/tcp``."""
    for key in keys:
        ports, protocol = parse_key(key)
        for port in range(ports.first, ports.last + 1):
            yield f"{port}/{protocol}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortPlan:
    """What has to be bound on the host, and what is opened on the container's own addresses."""

    requests: tuple[PortRequest, ...]
    opened: tuple[PublishedPort, ...]


def plan(
    *,
    exposed: Sequence[str],
    bindings: Mapping[str, Sequence[PortBinding]],
    publish_all: bool,
    default_address: Address,
    routed: Mapping[int, bool],
) -> PortPlan:
    """The requests of a container: given ports first, then ranges, then whatever is free.

    ``default_address`` stands for an empty host address; if it is 0.0.0.0, ``::`` does, too, for a container with IPv6.
    ``routed`` says of each IP version that the container has whether its ports are opened instead of bound. Raises
    InvalidAddress for a host address that cannot lead to the container.
    """
    defaults: tuple[Address, ...] = (default_address,)
    if default_address == ANY_IPV4 and 6 in routed:
        defaults = (ANY_IPV4, ANY_IPV6)
    requests: list[PortRequest] = []
    bound: set[str] = set()
    for key, wanted in bindings.items():
        ports, protocol = parse_key(key)
        for offset, port in enumerate(range(ports.first, ports.last + 1)):
            bound.add(f"{port}/{protocol}")
            requests += _of_port(
                protocol, port, offset, len(ports), wanted or (PortBinding(),), defaults, routed
            )
    if publish_all:
        for key in exposed_keys(exposed):
            if key not in bound:
                ports, protocol = parse_key(key)
                requests += _of_port(
                    protocol, ports.first, 0, 1, (PortBinding(),), defaults, routed
                )
    merged = _same_port_together(requests)
    translated = {version for version, opened in routed.items() if not opened}
    to_bind = [_only(each, translated) for each in merged]
    return PortPlan(
        requests=tuple(
            sorted(
                (each for each in to_bind if each.addresses),
                key=lambda each: (not each.host.single, each.host.first == 0),
            )
        ),
        opened=tuple(
            dict.fromkeys(
                PublishedPort(
                    protocol=each.protocol,
                    container_port=each.container_port,
                    host_ip=str(ANY_IPV4 if address.version == 4 else ANY_IPV6),
                    host_port=0,
                    routed=True,
                )
                for each in merged
                for address in each.addresses
                if routed.get(address.version)
            )
        ),
    )


def _of_port(
    protocol: Protocol,
    port: int,
    offset: int,
    count: int,
    wanted: Sequence[PortBinding],
    defaults: tuple[Address, ...],
    routed: Mapping[int, bool],
) -> Iterator[PortRequest]:
    for binding in wanted:
        host = parse_range(binding.host_port)
        if count > 1 and len(host) == count and host.first:
            # A range onto a range of the same size maps one to one.
            host = PortRange(first=host.first + offset, last=host.first + offset)
        yield PortRequest(
            protocol=protocol,
            container_port=port,
            addresses=(_leading(binding.host_ip, routed),) if binding.host_ip else defaults,
            host=host,
        )


def _leading(text: str, routed: Mapping[int, bool]) -> Address:
    """A host address from which the container can be reached; raises InvalidAddress."""
    address = parse_address(text)
    if address.version not in routed:
        raise InvalidAddress(
            "host IP address", f"{text}: the container has no IPv{address.version} address"
        )
    if address.version == 6 and address.is_loopback and not routed[6]:
        # The kernel takes an answer to ::1 from no other interface.
        raise InvalidAddress("host IP address", f"{text}: no container is reached by it")
    return address


def parse_address(text: str) -> Address:
    """A host address; an IPv4-mapped IPv6 address is IPv4."""
    try:
        address = ip_address(text.strip("[]"))
    except ValueError:
        raise InvalidAddress("host IP address", text) from None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _same_port_together(requests: list[PortRequest]) -> list[PortRequest]:
    """Join requests that differ in the address only: a random or ranged host port must be the same on each."""
    merged: dict[tuple[Protocol, int, int, int], list[Address]] = {}
    for request in requests:
        key = (request.protocol, request.container_port, request.host.first, request.host.last)
        known = merged.setdefault(key, [])
        known += [address for address in request.addresses if address not in known]
    return [
        PortRequest(
            protocol=protocol,
            container_port=port,
            addresses=tuple(addresses),
            host=PortRange(first=first, last=last),
        )
        for (protocol, port, first, last), addresses in merged.items()
    ]


def _only(request: PortRequest, versions: set[int]) -> PortRequest:
    return replace(
        request, addresses=tuple(each for each in request.addresses if each.version in versions)
    )


def _port(text: str, whole: str) -> int:
    if not is_number(text) or int(text) > _HIGHEST:
        raise InvalidPort(whole)
    return int(text)
