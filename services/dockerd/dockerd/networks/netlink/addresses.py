"""IPv4 addresses of interfaces."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface

from dockerd.networks.netlink import message
from dockerd.networks.netlink.connection import NetlinkConnection, Request


def add(index: int, address: IPv4Interface) -> Request:
    """The request that gives an interface an address, with the subnet's broadcast address."""
    return Request(
        message.RTM_NEWADDR,
        _payload(index, address),
        message.NLM_F_CREATE | message.NLM_F_REPLACE,
        f"add address {address}",
    )


def remove(index: int, address: IPv4Interface) -> Request:
    """The request that takes an address away."""
    return Request(message.RTM_DELADDR, _payload(index, address), 0, f"remove address {address}")


def every(connection: NetlinkConnection, index: int | None = None) -> list[IPv4Interface]:
    """The IPv4 addresses of one interface or of all."""
    found = []
    payload = message.ifaddr(index=0, prefix=0)
    for _, body in connection.dump(message.RTM_GETADDR, payload, "list addresses"):
        family, prefix, owner = message.parse_ifaddr(body)
        fields = message.parse_attributes(body, message.IFADDR_SIZE)
        local = fields.get(message.IFA_LOCAL) or fields.get(message.IFA_ADDRESS)
        if family == message.AF_INET and local and index in {None, owner}:
            found.append(IPv4Interface((IPv4Address(local), prefix)))
    return found


def _payload(index: int, address: IPv4Interface) -> bytes:
    payload = (
        message.ifaddr(index=index, prefix=address.network.prefixlen)
        + message.attribute(message.IFA_LOCAL, address.ip.packed)
        + message.attribute(message.IFA_ADDRESS, address.ip.packed)
    )
    broadcast = address.network.broadcast_address
    if address.network.prefixlen < 31:
        payload += message.attribute(message.IFA_BROADCAST, broadcast.packed)
    return payload
