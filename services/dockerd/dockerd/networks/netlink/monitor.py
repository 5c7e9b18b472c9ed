"""Noticing that somebody else deleted our bridge or changed the firewall: two multicast sockets on the event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from dockerd.linux.sockets import pass_netlink_types
from dockerd.networks.netlink import message
from dockerd.networks.netlink.connection import NETLINK_NETFILTER, NETLINK_ROUTE

_SOL_NETLINK: Final = 270
_NETLINK_ADD_MEMBERSHIP: Final = 1
_GROUP_LINK: Final = 1
_GROUP_NFTABLES: Final = 7
_BUFFER: Final = 1 << 17
_NFTABLES: Final = 10
_NFGENMSG_SIZE: Final = 4
_ATTRIBUTE_TABLE: Final = 1
_NEWCHAIN, _DELTABLE, _DELCHAIN, _NEWRULE, _DELRULE, _DELSET = 3, 2, 5, 6, 8, 11
_OURS: Final = frozenset({_DELTABLE, _DELCHAIN, _NEWRULE, _DELRULE, _DELSET})
_THEIRS: Final = frozenset({_NEWCHAIN, _DELCHAIN, _DELRULE})
_FOREIGN_TABLE: Final = "filter"


class Monitor:
    """Calls back on the event loop when a bridge vanished or a firewall table changed.

    The callbacks say only that something happened: what, is for the caller to check. Our own changes are reported, too.
    """

    def __init__(
        self,
        *,
        table: str,
        bridges: Callable[[], frozenset[str]],
        on_table: Callable[[], None],
        on_foreign: Callable[[], None],
        on_bridge: Callable[[], None],
    ) -> None:
        self._table = table
        self._bridges = bridges
        self._on_table = on_table
        self._on_foreign = on_foreign
        self._on_bridge = on_bridge
        self._sockets: list[socket.socket] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to listen."""
        self._loop = loop
        link = _joined(NETLINK_ROUTE, _GROUP_LINK)
        pass_netlink_types(link, (message.RTM_DELLINK,))
        firewall = _joined(NETLINK_NETFILTER, _GROUP_NFTABLES)
        self._sockets = [link, firewall]
        loop.add_reader(link, self._read, link, self._seen_link, self._on_bridge)
        loop.add_reader(firewall, self._read, firewall, self._seen_firewall, self._on_table)

    def close(self) -> None:
        """Stop listening; harmless when called again."""
        for each in self._sockets:
            if self._loop is not None:
                self._loop.remove_reader(each)
            each.close()
        self._sockets = []

    def _read(
        self, source: socket.socket, seen: Callable[[bytes], None], lost: Callable[[], None]
    ) -> None:
        try:
            data = source.recv(_BUFFER)
        except BlockingIOError:
            return
        except OSError:
            # ENOBUFS: messages were lost, so anything may have happened.
            lost()
            return
        seen(data)

    def _seen_link(self, data: bytes) -> None:
        for kind, _, _, body in message.parse_messages(data):
            if kind == message.RTM_DELLINK and body[0] == message.AF_UNSPEC:
                fields = message.parse_attributes(body, message.IFINFO_SIZE)
                name = fields.get(message.IFLA_IFNAME, b"").rstrip(b"\0").decode(errors="replace")
                if name in self._bridges():
                    self._on_bridge()

    def _seen_firewall(self, data: bytes) -> None:
        ours = theirs = False
        for kind, _, _, body in message.parse_messages(data):
            event = kind & 0xFF
            if kind >> 8 != _NFTABLES or event not in _OURS | _THEIRS:
                continue
            fields = message.parse_attributes(body, _NFGENMSG_SIZE)
            name = fields.get(_ATTRIBUTE_TABLE, b"").rstrip(b"\0").decode(errors="replace")
            ours = ours or (name == self._table and event in _OURS)
            theirs = theirs or (name == _FOREIGN_TABLE and event in _THEIRS)
        if ours:
            self._on_table()
        if theirs:
            self._on_foreign()


def _joined(protocol: int, group: int) -> socket.socket:
    listener = socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, protocol
    )
    listener.bind((0, 0))
    listener.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
    return listener
