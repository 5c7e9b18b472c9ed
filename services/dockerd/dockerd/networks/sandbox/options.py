"""What a container may ask of its interface on a network: name, kernel settings, further addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Final

from dockerd.networks.errors import InvalidEndpoint
from dockerd.networks.model import (
    ENDPOINT_INTERFACE,
    ENDPOINT_SYSCTLS,
    OPTION_PREFIX,
    NetworkRecord,
)

_KNOWN: Final = frozenset({ENDPOINT_INTERFACE, ENDPOINT_SYSCTLS})
_OURS: Final = "com.docker.network."
_LINK_LOCAL_BITS: Final = {4: 16, 6: 64}
_LONGEST_LINK: Final = 15
# As the kernel has it, and nothing that could leave the folder of an interface's settings.
_LINK: Final = re.compile(r"[^\s/:%\0]+")
_SETTING: Final = re.compile(
    r"net\.(?P<family>ipv4|ipv6|mpls)\.(?P<folder>[a-z0-9_]+)\.(?:IFNAME|ifname)\.(?P<name>[a-z0-9_]+)=(?P<value>.*)"
)


def check(options: Mapping[str, str]) -> None:
    """Raises InvalidEndpoint for an option of ours that there is not, or that makes no sense.

    Other options belong to other drivers, or to whoever reads them with `inspect`.
    """
    for key in options:
        if key.startswith(_OURS) and key not in _KNOWN:
            raise InvalidEndpoint(f"driver option {key} is not supported")
    sysctls(options, "")
    name = options.get(ENDPOINT_INTERFACE)
    if name is not None and not is_link_name(name):
        raise InvalidEndpoint(f"invalid interface name '{name}'")


def is_link_name(name: str) -> bool:
    """Whether the kernel takes it for an interface."""
    return (
        _LINK.fullmatch(name) is not None
        and name not in {".", "..", "lo", "all", "default"}
        and len(name.encode()) <= _LONGEST_LINK
    )


def interface(options: Mapping[str, str], network: NetworkRecord, taken: Iterable[str]) -> str:
    """The name of the container's interface: the one asked for, or the first that is free behind the network's prefix.

    Raises InvalidEndpoint for one that another endpoint of the container has.
    """
    known = set(taken)
    wanted = options.get(ENDPOINT_INTERFACE)
    if wanted in known:
        raise InvalidEndpoint(f"interface name '{wanted}' is already in use")
    prefix = network.options.get(OPTION_PREFIX) or "eth"
    return wanted or next(
        f"{prefix}{n}" for n in range(len(known) + 1) if f"{prefix}{n}" not in known
    )


def sysctls(options: Mapping[str, str], name: str) -> dict[str, str]:
    """The settings of an interface by their paths below /proc/sys; raises InvalidEndpoint for one that is of no interface."""
    found: dict[str, str] = {}
    text = options.get(ENDPOINT_SYSCTLS, "")
    for each in text.split(",") if text else ():
        match = _SETTING.fullmatch(each)
        if match is None:
            raise InvalidEndpoint(
                f"unrecognised network interface sysctl '{each}'; represent 'net.X.Y.ethN.Z=V' as"
                " 'net.X.Y.IFNAME.Z=V', 'X' must be 'ipv4', 'ipv6' or 'mpls'"
            )
        found[f"net/{match['family']}/{match['folder']}/{name}/{match['name']}"] = match["value"]
    return found


def link_local(addresses: Iterable[str]) -> tuple[str, ...]:
    """Link-local addresses with the prefix of their kind; raises InvalidEndpoint."""
    found = []
    for text in addresses:
        try:
            address = ip_address(text)
        except ValueError:
            raise InvalidEndpoint(f"invalid link-local IP address: {text}") from None
        if address.is_unspecified:
            raise InvalidEndpoint(f"invalid link-local IP address: {text}")
        found.append(f"{address}/{_LINK_LOCAL_BITS[address.version]}")
    return tuple(found)
