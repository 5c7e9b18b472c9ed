"""The stack's firewall table as nft text. Pure: no kernel, no library.

Chains and their rules never change; networks and published ports are elements of sets and maps, so that the cost of a
packet, and of a change, does not grow with their number.

    guard        nobody but the host itself reaches 127.0.0.0/8 (route_localnet is on for the bridges)
    prerouting   \\ traffic for an address of this host: a published port is led to its container
    output       /
    postrouting  hairpin, containers to the outside, and the host's 127.x to containers are masqueraded
    forward      nothing leaves or enters an internal network; what enters another bridge from elsewhere must belong to a
                 published port or to a known connection
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from dockerd.networks.model import BridgeConfig, Protocol, PublishedPort

ANY_ADDRESS: Final = "0.0.0.0"  # noqa: S104 — compared, not bound
_BY_ADDRESS: Final = "published"
_ON_ANY: Final = "published_any"

_TABLE: Final = """\
table ip {table} {{
  set subnets {{ type ipv4_addr; flags interval; {subnets} }}
  set own {{ type ifname . ipv4_addr; flags interval; {own} }}
  set bridges {{ type ifname; {bridges} }}
  set icc {{ type ifname . ifname; {icc} }}
  set internal {{ type ifname; {internal} }}
  map published {{ type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service; {published} }}
  map published_any {{ type inet_proto . inet_service : ipv4_addr . inet_service; {published_any} }}
  chain guard {{
    type filter hook prerouting priority -300; policy accept;
    iifname != "lo" ip daddr 127.0.0.0/8 drop
  }}
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    fib daddr type local jump publish
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    fib daddr type local jump publish
  }}
  chain publish {{
    dnat ip to meta l4proto . ip daddr . th dport map @published
    dnat ip to meta l4proto . th dport map @published_any
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    oifname . ip saddr @own ct status dnat masquerade
    oifname . ip saddr @own return
    ip saddr @subnets masquerade
    oifname @bridges ip saddr 127.0.0.0/8 masquerade
  }}
  chain forward {{
    type filter hook forward priority 0; policy accept;
    iifname @internal jump sealed
    oifname @internal jump sealed
    oifname @bridges jump inbound
  }}
  chain sealed {{
    iifname . oifname @icc accept
    drop
  }}
  chain inbound {{
    ct state established,related accept
    iifname . oifname @icc accept
    ct status dnat accept
    drop
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Element:
    """One entry of one of the port maps."""

    map_name: str
    key: str
    target: str


def table_name(bridge: str) -> str:
    """The table of the stack that owns a bridge."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", bridge)
    if plain == bridge:
        return f"dockyard_{plain}"
    return f"dockyard_{plain}_{hashlib.sha256(bridge.encode()).hexdigest()[:8]}"


def element(port: PublishedPort, container_ip: str) -> Element | None:
    """A published port's map entry; None for IPv6 host addresses, which the relay serves."""
    if ":" in port.host_ip:
        return None
    target = f"{container_ip} . {port.container_port}"
    protocol = Protocol(port.protocol)
    if port.host_ip == ANY_ADDRESS:
        return Element(_ON_ANY, f"{protocol} . {port.host_port}", target)
    return Element(_BY_ADDRESS, f"{protocol} . {port.host_ip} . {port.host_port}", target)


def rebuild(table: str, bridges: Iterable[BridgeConfig], elements: Iterable[Element]) -> str:
    """The transaction that replaces the whole table; packets see the old one or the new one."""
    known = list(bridges)
    by_map: dict[str, list[str]] = {_BY_ADDRESS: [], _ON_ANY: []}
    for entry in elements:
        by_map[entry.map_name].append(f"{entry.key} : {entry.target}")
    return f"add table ip {table}\ndelete table ip {table}\n" + _TABLE.format(
        table=table,
        subnets=_elements(str(each.subnet) for each in known if each.masquerade),
        own=_elements(f'"{each.name}" . {each.subnet}' for each in known),
        bridges=_elements(f'"{each.name}"' for each in known),
        icc=_elements(f'"{each.name}" . "{each.name}"' for each in known if each.icc),
        internal=_elements(f'"{each.name}"' for each in known if each.internal),
        published=_elements(by_map[_BY_ADDRESS]),
        published_any=_elements(by_map[_ON_ANY]),
    )


def add(table: str, entries: Iterable[Element]) -> str:
    """The transaction that adds entries."""
    return _change("add", table, ((each, f"{each.key} : {each.target}") for each in entries))


def remove(table: str, entries: Iterable[Element]) -> str:
    """The transaction that removes entries; it fails as a whole if one is missing."""
    return _change("delete", table, ((each, each.key) for each in entries))


def destroy(table: str) -> str:
    """The transaction after which the table does not exist, whether it did or not."""
    return f"add table ip {table}\ndelete table ip {table}\n"


def _change(verb: str, table: str, entries: Iterable[tuple[Element, str]]) -> str:
    by_map: dict[str, list[str]] = {}
    for entry, text in entries:
        by_map.setdefault(entry.map_name, []).append(text)
    return "".join(
        f"{verb} element ip {table} {name} {{ {', '.join(texts)} }}\n"
        for name, texts in by_map.items()
    )


def _elements(texts: Iterable[str]) -> str:
    joined = ", ".join(texts)
    return f"elements = {{ {joined} }}" if joined else ""
