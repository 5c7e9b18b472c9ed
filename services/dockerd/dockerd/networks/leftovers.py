"""The end of a stack: its bridges, table, namespaces and resolver, taken out of the kernel (`dockyard clean`)."""

from __future__ import annotations

import contextlib
import os

from dockerd.networks.dns import Resolver
from dockerd.networks.firewall import rules
from dockerd.networks.firewall.nftables import Firewall
from dockerd.networks.model import NetworkSettings
from dockerd.networks.netlink import links, namespaces
from dockerd.networks.netlink.connection import NetlinkConnection


def remove_leftovers(settings: NetworkSettings) -> None:
    """Harmless when repeated, and for a stack that never had networks."""
    table = settings.table or rules.table_name(settings.bridge)
    Resolver(settings.exec_root).end()
    firewall = Firewall(table)
    try:
        firewall.remove()
    finally:
        firewall.close()
    with NetlinkConnection() as connection:
        for link in links.every(connection):
            if link.alias == f"dockyard:{table}":
                links.delete(connection, link.index)
    directory = os.path.join(settings.exec_root, "netns")
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(directory):
            namespaces.remove(os.path.join(directory, name))
