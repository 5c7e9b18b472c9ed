"""Routes."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from dockerd.networks.model import IpAddress, IpNetwork
from dockerd.networks.netlink import message
from dockerd.networks.netlink.connection import NetlinkConnection, Request


def default(gateway: IpAddress, index: int, *, replace: bool = False) -> Request:
    """The request that sends everything to a gateway behind an interface; ``replace`` another one that may be there."""
    flags = message.NLM_F_REPLACE if replace else message.NLM_F_EXCL
    return Request(
        message.RTM_NEWROUTE,
        message.route(family=message.family_of(gateway.version))
        + message.attribute(message.RTA_GATEWAY, gateway.packed)
        # A link-local gateway means nothing without it.
        + message.number(message.RTA_OIF, index),
        message.NLM_F_CREATE | flags,
        f"add default route via {gateway}",
    )


def destinations(connection: NetlinkConnection) -> list[IpNetwork]:
    """The subnets that the main routing table knows, without default and link-local routes."""
    found: list[IpNetwork] = []
    for _, body in connection.dump(message.RTM_GETROUTE, message.route(), "list routes"):
        family, prefix, table, kind = message.parse_route(body)
        target = message.parse_attributes(body, message.ROUTE_SIZE).get(message.RTA_DST)
        if (
            family in {message.AF_INET, message.AF_INET6}
            and table == message.RT_TABLE_MAIN
            and kind == message.RTN_UNICAST
            and target
        ):
            network = ip_network(f"{ip_address(target)}/{prefix}")
            if not network.is_link_local:
                found.append(network)
    return found
