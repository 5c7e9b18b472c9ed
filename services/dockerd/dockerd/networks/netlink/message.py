"""Netlink messages: headers, attributes and the numbers of rtnetlink that dockerd uses. No I/O."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from typing import Final

NLM_F_REQUEST: Final = 0x1
NLM_F_MULTI: Final = 0x2
NLM_F_ACK: Final = 0x4
NLM_F_DUMP: Final = 0x300
NLM_F_REPLACE: Final = 0x100
NLM_F_EXCL: Final = 0x200
NLM_F_CREATE: Final = 0x400
NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3

RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
RTM_GETLINK: Final = 18
RTM_SETLINK: Final = 19
RTM_NEWADDR: Final = 20
RTM_DELADDR: Final = 21
RTM_GETADDR: Final = 22
RTM_NEWROUTE: Final = 24
RTM_GETROUTE: Final = 26

AF_UNSPEC: Final = 0
AF_INET: Final = 2
AF_BRIDGE: Final = 7
AF_INET6: Final = 10

IFF_UP: Final = 0x1
IFF_BROADCAST: Final = 0x2

IFLA_ADDRESS: Final = 1
IFLA_IFNAME: Final = 3
IFLA_MTU: Final = 4
IFLA_MASTER: Final = 10
IFLA_PROTINFO: Final = 12
IFLA_LINKINFO: Final = 18
IFLA_IFALIAS: Final = 20
IFLA_NET_NS_FD: Final = 28
IFLA_INFO_KIND: Final = 1
IFLA_INFO_DATA: Final = 2
IFLA_INFO_SLAVE_KIND: Final = 4
IFLA_INFO_SLAVE_DATA: Final = 5
IFLA_BRPORT_MODE: Final = 4
VETH_INFO_PEER: Final = 1
IFLA_BRPORT_STATE: Final = 1
IFLA_BRPORT_FLUSH: Final = 24
BR_STATE_DISABLED: Final = 0

IFA_ADDRESS: Final = 1
IFA_LOCAL: Final = 2
IFA_BROADCAST: Final = 4
IFA_F_NODAD: Final = 0x02

RTA_DST: Final = 1
RTA_OIF: Final = 4
RTA_GATEWAY: Final = 5
RTA_TABLE: Final = 15
RT_TABLE_MAIN: Final = 254
RTPROT_BOOT: Final = 3
RT_SCOPE_UNIVERSE: Final = 0
RTN_UNICAST: Final = 1

LITTLE_ENDIAN: Final = sys.byteorder == "little"
NLA_F_NESTED: Final = 0x8000
_NLA_TYPE_MASK: Final = 0x3FFF

_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_IFINFO: Final = struct.Struct("=BxHiII")
_IFADDR: Final = struct.Struct("=BBBBi")
_ROUTE: Final = struct.Struct("=BBBBBBBBI")
HEADER_SIZE: Final = _HEADER.size
IFINFO_SIZE: Final = _IFINFO.size
IFADDR_SIZE: Final = _IFADDR.size
ROUTE_SIZE: Final = _ROUTE.size


def family_of(version: int) -> int:
    """The address family of an IP version."""
    return AF_INET if version == 4 else AF_INET6


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    size = 4 + len(value)
    return _ATTRIBUTE.pack(size, kind) + value + b"\0" * (-size & 3)


def text(kind: int, value: str) -> bytes:
    """A NUL-terminated string attribute."""
    return attribute(kind, value.encode() + b"\0")


def number(kind: int, value: int) -> bytes:
    """A 32-bit attribute in host order."""
    return attribute(kind, value.to_bytes(4, "little" if LITTLE_ENDIAN else "big"))


def nested(kind: int, *children: bytes) -> bytes:
    """An attribute made of attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(children))


def parse_attributes(data: bytes | memoryview, offset: int = 0) -> dict[int, bytes]:
    """The attributes behind a fixed header; of repeated ones the last."""
    found: dict[int, bytes] = {}
    end = len(data)
    while offset + 4 <= end:
        size, kind = _ATTRIBUTE.unpack_from(data, offset)
        if size < 4 or offset + size > end:
            break
        found[kind & _NLA_TYPE_MASK] = bytes(data[offset + 4 : offset + size])
        offset += (size + 3) & ~3
    return found


def parse_messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The (type, flags, sequence, payload) of each message in a datagram."""
    offset = 0
    end = len(data)
    while offset + HEADER_SIZE <= end:
        size, kind, flags, sequence, _ = _HEADER.unpack_from(data, offset)
        if size < HEADER_SIZE or offset + size > end:
            return
        yield kind, flags, sequence, data[offset + HEADER_SIZE : offset + size]
        offset += (size + 3) & ~3


def header(size: int, kind: int, flags: int, sequence: int) -> bytes:
    """A message header for a payload of ``size`` bytes."""
    return _HEADER.pack(HEADER_SIZE + size, kind, flags, sequence, 0)


def ifinfo(*, index: int = 0, flags: int = 0, change: int = 0, family: int = AF_UNSPEC) -> bytes:
    """struct ifinfomsg."""
    return _IFINFO.pack(family, 0, index, flags, change)


def parse_ifinfo(payload: bytes) -> tuple[int, int]:
    """The (index, flags) of a struct ifinfomsg."""
    _, _, index, flags, _ = _IFINFO.unpack_from(payload)
    return index, flags


def ifaddr(*, index: int, prefix: int, family: int = AF_UNSPEC, flags: int = 0) -> bytes:
    """struct ifaddrmsg."""
    return _IFADDR.pack(family, prefix, flags, 0, index)


def parse_ifaddr(payload: bytes) -> tuple[int, int, int]:
    """The (family, prefix, index) of a struct ifaddrmsg."""
    family, prefix, _, _, index = _IFADDR.unpack_from(payload)
    return family, prefix, index


def route(*, prefix: int = 0, family: int = AF_UNSPEC) -> bytes:
    """struct rtmsg for a unicast route in the main table."""
    return _ROUTE.pack(
        family, prefix, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0
    )


def parse_route(payload: bytes) -> tuple[int, int, int, int]:
    """The (family, prefix, table, type) of a struct rtmsg."""
    family, prefix, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(payload)
    return family, prefix, table, kind
