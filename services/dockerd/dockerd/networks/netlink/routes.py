"""IPv4 routes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from dockerd.networks.netlink import message
from dockerd.networks.netlink.connection import NetlinkConnection, Request


def default(gateway: IPv4Address, *, replace: bool = False) -> Request:
    """The request that sends everything to a gateway; ``replace`` another one that may be there."""
    flags = message.NLM_F_REPLACE if replace else message.NLM_F_EXCL
    return Request(
        message.RTM_NEWROUTE,
        message.route() + message.attribute(message.RTA_GATEWAY, gateway.packed),
        message.NLM_F_CREATE | flags,
        f"add default route via {gateway}",
    )


def destinations(connection: NetlinkConnection) -> list[IPv4Network]:
    """The subnets that the main routing table knows, without the default route."""
    found = []
    for _, body in connection.dump(message.RTM_GETROUTE, message.route(), "list routes"):
        family, prefix, table, kind = message.parse_route(body)
        target = message.parse_attributes(body, message.ROUTE_SIZE).get(message.RTA_DST)
        if (
            family == message.AF_INET
            and table == message.RT_TABLE_MAIN
            and kind == message.RTN_UNICAST
            and target
        ):
            found.append(IPv4Network((IPv4Address(target), prefix)))
    return found
