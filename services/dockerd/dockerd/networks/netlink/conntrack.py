"""Forgetting connections: a UDP flow known from before a port was published, or unpublished, would stick to its old way."""

from __future__ import annotations

import contextlib
import errno
import struct
from typing import Final

from dockerd.networks.netlink import message
from dockerd.networks.netlink.connection import NETLINK_NETFILTER, NetlinkConnection, Request

_SUBSYSTEM: Final = 1 << 8
_CT_GET: Final = _SUBSYSTEM | 1
_CT_DELETE: Final = _SUBSYSTEM | 2
_CTA_TUPLE_ORIG: Final = 1
_CTA_FILTER: Final = 25
_CTA_FILTER_ORIG_FLAGS: Final = 1
_CTA_TUPLE_PROTO: Final = 2
_CTA_PROTO_NUM: Final = 1
_CTA_PROTO_DST_PORT: Final = 3
_BY_PROTOCOL: Final = 1 << 4
_BY_DESTINATION_PORT: Final = 1 << 6
_IPPROTO_UDP: Final = 17
_NFGENMSG_SIZE: Final = 4


def forget_udp(ports: set[int]) -> int:
    """Delete every UDP flow that was sent to one of these ports of the host; returns how many there were."""
    deleted = 0
    with NetlinkConnection(NETLINK_NETFILTER) as connection:
        for family in (message.AF_INET, message.AF_INET6):
            head = struct.pack("=BBH", family, 0, 0)
            for port in ports:
                for original in _flows(connection, head, port):
                    deleted += _delete(connection, head, original)
    return deleted


def _flows(connection: NetlinkConnection, head: bytes, port: int) -> list[bytes]:
    """The original tuples of flows to a port; the kernel filters where it can (Linux 5.8)."""
    wanted = message.nested(
        _CTA_TUPLE_ORIG,
        message.nested(
            _CTA_TUPLE_PROTO,
            message.attribute(_CTA_PROTO_NUM, bytes([_IPPROTO_UDP])),
            message.attribute(_CTA_PROTO_DST_PORT, port.to_bytes(2, "big")),
        ),
    )
    filtered = message.nested(
        _CTA_FILTER,
        message.number(_CTA_FILTER_ORIG_FLAGS, _BY_PROTOCOL | _BY_DESTINATION_PORT),
    )
    try:
        found = connection.dump(_CT_GET, head + wanted + filtered, "list connections")
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EINVAL}:
            raise
        found = connection.dump(_CT_GET, head, "list connections")
    flows = []
    for _, body in found:
        original = message.parse_attributes(body, _NFGENMSG_SIZE).get(_CTA_TUPLE_ORIG, b"")
        protocol = message.parse_attributes(
            message.parse_attributes(original).get(_CTA_TUPLE_PROTO, b"")
        )
        if protocol.get(_CTA_PROTO_NUM) == bytes([_IPPROTO_UDP]) and protocol.get(
            _CTA_PROTO_DST_PORT
        ) == port.to_bytes(2, "big"):
            flows.append(original)
    return flows


def _delete(connection: NetlinkConnection, head: bytes, original: bytes) -> int:
    payload = head + message.attribute(_CTA_TUPLE_ORIG | message.NLA_F_NESTED, original)
    with contextlib.suppress(FileNotFoundError):
        connection.run([Request(_CT_DELETE, payload, 0, "forget connection")])
        return 1
    return 0
