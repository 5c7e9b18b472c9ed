"""Links: the bridge and its ports, and veth pairs whose peer is born inside the container's namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dockerd.networks.netlink import message
from dockerd.networks.netlink.connection import NetlinkConnection, Request

_KIND_BRIDGE: Final = "bridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A network interface as the kernel reports it."""

    index: int
    name: str
    up: bool
    mtu: int
    master: int
    kind: str
    alias: str
    mac: str


def mac_bytes(mac: str) -> bytes:
    """``02:42:ac:11:00:02`` as six bytes."""
    return bytes.fromhex(mac.replace(":", "").replace("-", ""))


def create_veth(
    connection: NetlinkConnection,
    *,
    host_name: str,
    inner_name: str,
    netns: int,
    mac: str,
    mtu: int,
    master: int,
) -> None:
    """Make a veth pair: one end up and on the bridge, the other born in the namespace behind ``netns``.

    Moving a finished peer costs 20 ms of RCU grace; a peer born in place costs nothing. It must not be up yet: the
    pair is not linked while its peer is registered.
    """
    size = message.number(message.IFLA_MTU, mtu)
    peer = message.attribute(
        message.VETH_INFO_PEER,
        message.ifinfo()
        + message.text(message.IFLA_IFNAME, inner_name)
        + message.attribute(message.IFLA_ADDRESS, mac_bytes(mac))
        + size
        + message.number(message.IFLA_NET_NS_FD, netns),
    )
    payload = (
        message.ifinfo(flags=message.IFF_UP, change=message.IFF_UP)
        + message.text(message.IFLA_IFNAME, host_name)
        + size
        + message.number(message.IFLA_MASTER, master)
        + message.nested(
            message.IFLA_LINKINFO,
            message.text(message.IFLA_INFO_KIND, "veth"),
            message.nested(message.IFLA_INFO_DATA, peer),
        )
    )
    flags = message.NLM_F_CREATE | message.NLM_F_EXCL
    connection.run([Request(message.RTM_NEWLINK, payload, flags, f"create veth {host_name}")])


def reflect_port(connection: NetlinkConnection, name: str) -> None:
    """Let a bridge port send back where it received (hairpin mode), by the port's name.

    With br_netfilter a published port is translated while the frame is still in the bridge, so a container that
    calls its own published port is a frame that must leave by the port it came in.
    """
    payload = (
        message.ifinfo()
        + message.text(message.IFLA_IFNAME, name)
        + message.nested(
            message.IFLA_LINKINFO,
            message.text(message.IFLA_INFO_SLAVE_KIND, _KIND_BRIDGE),
            message.nested(
                message.IFLA_INFO_SLAVE_DATA,
                message.attribute(message.IFLA_BRPORT_MODE, b"\x01"),
            ),
        )
    )
    connection.run([Request(message.RTM_NEWLINK, payload, 0, f"set hairpin mode on {name}")])


def silence_port(connection: NetlinkConnection, index: int) -> None:
    """Cut a bridge port off and forget the addresses learnt on it.

    The kernel destroys a dropped namespace some 40 ms later. Until then its interface would still answer for an
    address that may already belong to the next container. Deleting the pair at once would cost 20 ms instead.
    """
    payload = message.ifinfo(index=index, family=message.AF_BRIDGE) + message.nested(
        message.IFLA_PROTINFO,
        message.attribute(message.IFLA_BRPORT_STATE, bytes([message.BR_STATE_DISABLED])),
        message.attribute(message.IFLA_BRPORT_FLUSH, b""),
    )
    connection.run([Request(message.RTM_SETLINK, payload, 0, "silence bridge port")])


def create_bridge(connection: NetlinkConnection, *, name: str, mac: str, mtu: int) -> None:
    """Make a bridge with an address of its own, so that it does not change with its ports."""
    payload = (
        message.ifinfo()
        + message.text(message.IFLA_IFNAME, name)
        + message.attribute(message.IFLA_ADDRESS, mac_bytes(mac))
        + message.number(message.IFLA_MTU, mtu)
        + message.nested(message.IFLA_LINKINFO, message.text(message.IFLA_INFO_KIND, _KIND_BRIDGE))
    )
    flags = message.NLM_F_CREATE | message.NLM_F_EXCL
    connection.run([Request(message.RTM_NEWLINK, payload, flags, f"create bridge {name}")])


def set_up(index: int) -> Request:
    """The request that brings an interface up."""
    return Request(
        message.RTM_NEWLINK,
        message.ifinfo(index=index, flags=message.IFF_UP, change=message.IFF_UP),
        0,
        f"bring interface {index} up",
    )


def change(
    connection: NetlinkConnection,
    index: int,
    *,
    mtu: int | None = None,
    alias: str | None = None,
    master: int | None = None,
    up: bool = False,
) -> None:
    """Change some settings of a link in one message."""
    flag = message.IFF_UP if up else 0
    payload = message.ifinfo(index=index, flags=flag, change=flag)
    if mtu is not None:
        payload += message.number(message.IFLA_MTU, mtu)
    if alias is not None:
        payload += message.text(message.IFLA_IFALIAS, alias)
    if master is not None:
        payload += message.number(message.IFLA_MASTER, master)
    connection.run([Request(message.RTM_SETLINK, payload, 0, f"change interface {index}")])


def delete(connection: NetlinkConnection, index: int) -> None:
    """Delete a link. Slow (an RCU grace period): never on a container's path."""
    payload = message.ifinfo(index=index)
    connection.run([Request(message.RTM_DELLINK, payload, 0, f"delete interface {index}")])


def find(connection: NetlinkConnection, name: str) -> Link | None:
    """The link of that name, if there is one."""
    payload = message.ifinfo() + message.text(message.IFLA_IFNAME, name)
    body = connection.get(message.RTM_GETLINK, payload, f"find interface {name}")
    return None if body is None else _parse(body)


def every(connection: NetlinkConnection) -> list[Link]:
    """All links of the connection's namespace."""
    return [_parse(body) for _, body in connection.dump(message.RTM_GETLINK, message.ifinfo())]


def _parse(body: bytes) -> Link:
    index, flags = message.parse_ifinfo(body)
    fields = message.parse_attributes(body, message.IFINFO_SIZE)
    described = message.parse_attributes(fields.get(message.IFLA_LINKINFO, b""))
    return Link(
        index=index,
        name=_string(fields.get(message.IFLA_IFNAME, b"")),
        up=bool(flags & message.IFF_UP),
        mtu=_integer(fields.get(message.IFLA_MTU, b"")),
        master=_integer(fields.get(message.IFLA_MASTER, b"")),
        kind=_string(described.get(message.IFLA_INFO_KIND, b"")),
        alias=_string(fields.get(message.IFLA_IFALIAS, b"")),
        mac=fields.get(message.IFLA_ADDRESS, b"").hex(":"),
    )


def _string(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _integer(value: bytes) -> int:
    return int.from_bytes(value, "little" if message.LITTLE_ENDIAN else "big")
