"""The content of a container's /etc/hosts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from dockerd.networks.errors import InvalidAddress

HOST_GATEWAY: Final = "host-gateway"
_LOOPBACK_4: Final = ("127.0.0.1\tlocalhost",)
_LOOPBACK_6: Final = (
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::\tip6-localnet",
    "ff00::\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
)


def build(
    *,
    hostname: str,
    domainname: str = "",
    addresses: Sequence[str] = (),
    extra: Iterable[tuple[str, str]] = (),
    ipv6: bool = True,
) -> str:
    """Localhost names, then the extra hosts, then the container's own addresses under its names."""
    lines = [*_LOOPBACK_4, *(_LOOPBACK_6 if ipv6 else ())]
    lines += [f"{address}\t{name}" for name, address in extra]
    names = f"{hostname}.{domainname}" if domainname else hostname
    short, dot, _ = names.partition(".")
    if dot:
        names = f"{names} {short}"
    lines += [f"{address}\t{names}" for address in addresses]
    return "\n".join(lines) + "\n"


def parse_extra(entries: Iterable[str], host_gateway: str | None) -> list[tuple[str, str]]:
    """``name:address`` (or ``name=address``) entries; the address may be ``host-gateway``.

    Raises InvalidAddress for an entry that is neither, or where the host gateway is not known.
    """
    parsed = []
    for entry in entries:
        # A colon separates the name from an address that may itself have colons.
        name, mark, address = entry.partition("=" if _uses_equals(entry) else ":")
        address = address.strip("[]")
        if not name or not mark or not address:
            raise InvalidAddress("extra host", f'bad format for add-host: "{entry}"')
        if address == HOST_GATEWAY:
            if host_gateway is None:
                raise InvalidAddress("extra host", "unable to derive the IP value for host-gateway")
            parsed += [(name, each) for each in host_gateway.split(",")]
            continue
        parsed.append((name, str(_address(entry, address))))
    return parsed


def _uses_equals(entry: str) -> bool:
    return "=" in entry and ":" not in entry.partition("=")[0]


def _address(entry: str, text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError:
        raise InvalidAddress("IP address in add-host", f'"{text}" ({entry})') from None
