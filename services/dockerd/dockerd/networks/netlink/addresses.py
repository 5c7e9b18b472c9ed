"""IP addresses of interfaces."""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv6Interface, ip_address

from dockerd.networks.model import IpInterface
from dockerd.networks.netlink import message
from dockerd.networks.netlink.connection import NetlinkConnection, Request


def add(index: int, address: IpInterface) -> Request:
    """The request that gives an interface an address: IPv4 with the subnet's broadcast address, IPv6 at once usable.

    Nobody else can have an IPv6 address that our pools gave out, so no duplicate is looked for: it would take a second.
    """
    return Request(
        message.RTM_NEWADDR,
        _payload(index, address),
        message.NLM_F_CREATE | message.NLM_F_REPLACE,
        f"add address {address}",
    )


def remove(index: int, address: IpInterface) -> Request:
    """The request that takes an address away."""
    return Request(message.RTM_DELADDR, _payload(index, address), 0, f"remove address {address}")


def every(connection: NetlinkConnection, index: int | None = None) -> list[IpInterface]:
    """The addresses of one interface or of all."""
    found: list[IpInterface] = []
    payload = message.ifaddr(index=0, prefix=0)
    for _, body in connection.dump(message.RTM_GETADDR, payload, "list addresses"):
        family, prefix, owner = message.parse_ifaddr(body)
        fields = message.parse_attributes(body, message.IFADDR_SIZE)
        local = fields.get(message.IFA_LOCAL) or fields.get(message.IFA_ADDRESS)
        if local and index in {None, owner}:
            text = f"{ip_address(local)}/{prefix}"
            found.append(IPv4Interface(text) if family == message.AF_INET else IPv6Interface(text))
    return found


def _payload(index: int, address: IpInterface) -> bytes:
    network = address.network
    payload = (
        message.ifaddr(
            index=index,
            prefix=network.prefixlen,
            family=message.family_of(address.version),
            flags=message.IFA_F_NODAD if address.version == 6 else 0,
        )
        + message.attribute(message.IFA_LOCAL, address.ip.packed)
        + message.attribute(message.IFA_ADDRESS, address.ip.packed)
    )
    if isinstance(address, IPv4Interface) and network.prefixlen < 31:
        payload += message.attribute(message.IFA_BROADCAST, network.broadcast_address.packed)
    return payload
