"""The stack's firewall tables as nft text, one for each IP version. Pure: no kernel, no library.

Chains and their rules never change; networks and published ports are elements of sets and maps, so that the cost of a
packet, and of a change, does not grow with their number.

    guard        nobody but the host itself reaches the loopback addresses (route_localnet is on for the bridges)
    prerouting   \\ traffic for an address of this host: a published port is led to its container
    output       /
    postrouting  hairpin, containers to the outside, and the host's 127.x to containers are masqueraded
    forward      nothing leaves or enters an internal network; what enters another bridge from elsewhere must belong to a
                 published port or to a known connection, unless the network's gateway mode or its trusted interfaces
                 let more in
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dockerd.networks.model import BridgeConfig, BridgeFamily, GatewayMode, Protocol, PublishedPort

_ANY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound
_BY_ADDRESS: Final = "published"
_ON_ANY: Final = "published_any"
_DIRECT: Final = "direct"
VERSIONS: Final = (4, 6)

_TABLE: Final = """\
table {ip} {table} {{
  set subnets {{ type {addr}; flags interval; {subnets} }}
  set own {{ type ifname . {addr}; flags interval; {own} }}
  set bridges {{ type ifname; {bridges} }}
  set icc {{ type ifname . ifname; {icc} }}
  set internal {{ type ifname; {internal} }}
  set routed {{ type ifname; {routed} }}
  set unprotected {{ type ifname; {unprotected} }}
  set trusted {{ type ifname . ifname; {trusted} }}
  set direct {{ type {addr} . inet_proto . inet_service; {direct} }}
  map published {{ type inet_proto . {addr} . inet_service : {addr} . inet_service; {published} }}
  map published_any {{ type inet_proto . inet_service : {addr} . inet_service; {published_any} }}
  chain guard {{
    type filter hook prerouting priority -300; policy accept;
    iifname != "lo" {ip} daddr {loopback} drop
  }}
  chain prerouting {{
    type nat hook prerouting priority -100; policy accept;
    fib daddr type local jump publish
  }}
  chain output {{
    type nat hook output priority -100; policy accept;
    {ip} daddr {kept} return
    fib daddr type local jump publish
  }}
  chain publish {{
    dnat {ip} to meta l4proto . {ip} daddr . th dport map @published
    dnat {ip} to meta l4proto . th dport map @published_any
  }}
  chain postrouting {{
    type nat hook postrouting priority 100; policy accept;
    oifname . {ip} saddr @own ct status dnat masquerade
    oifname . {ip} saddr @own return
    {ip} saddr @subnets masquerade
    oifname @bridges {ip} saddr {loopback} masquerade
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
    oifname @unprotected iifname != @bridges accept
    oifname @routed meta l4proto {icmp} accept
    oifname @routed {ip} daddr . meta l4proto . th dport @direct accept
    iifname . oifname @trusted {ip} daddr . meta l4proto . th dport @direct accept
    drop
  }}
}}
"""

# IPv6 has no route_localnet: what the host sends to ::1 finds no container, and is refused at once instead of getting lost.
# Of IPv4 nothing is kept, so there the word is an address to which nothing is ever sent.
_WORDS: Final = {
    4: {"ip": "ip", "addr": "ipv4_addr", "loopback": "127.0.0.0/8", "kept": "0.0.0.0/32", "icmp": "icmp"},
    6: {"ip": "ip6", "addr": "ipv6_addr", "loopback": "::1", "kept": "::1", "icmp": "ipv6-icmp"},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Element:
    """One entry of one of the port maps, or of the set of ports that are open without translation."""

    version: int
    map_name: str
    key: str
    target: str = ""

    @property
    def text(self) -> str:
        """The entry as nft reads it."""
        return f"{self.key} : {self.target}" if self.target else self.key


def table_name(bridge: str) -> str:
    """The table of the stack that owns a bridge."""
    plain = re.sub(r"[^A-Za-z0-9_]", "_", bridge)
    if plain == bridge:
        return f"dockyard_{plain}"
    return f"dockyard_{plain}_{hashlib.sha256(bridge.encode()).hexdigest()[:8]}"


def elements(port: PublishedPort, addresses: Iterable[str]) -> list[Element]:
    """A published port's entries for the container's addresses; none of a host address in whose version it has none."""
    version = 6 if ":" in port.host_ip else 4
    address = next((each for each in addresses if (":" in each) == (version == 6)), None)
    if address is None:
        return []
    protocol = Protocol(port.protocol)
    found = [Element(version, _DIRECT, f"{address} . {protocol} . {port.container_port}")]
    target = f"{address} . {port.container_port}"
    if not port.routed and port.host_ip in _ANY:
        found.append(Element(version, _ON_ANY, f"{protocol} . {port.host_port}", target))
    elif not port.routed:
        key = f"{protocol} . {port.host_ip} . {port.host_port}"
        found.append(Element(version, _BY_ADDRESS, key, target))
    return found


def rebuild(table: str, bridges: Iterable[BridgeConfig], entries: Iterable[Element]) -> str:
    """The transaction that replaces the tables; packets see the old ones or the new ones."""
    known, all_entries = list(bridges), list(entries)
    return destroy(table) + "".join(
        _table(table, version, known, [each for each in all_entries if each.version == version])
        for version in VERSIONS
    )


def add(table: str, entries: Iterable[Element]) -> str:
    """The transaction that adds entries."""
    return _change("add", table, ((each, each.text) for each in entries))


def remove(table: str, entries: Iterable[Element]) -> str:
    """The transaction that removes entries; it fails as a whole if one is missing."""
    return _change("delete", table, ((each, each.key) for each in entries))


def destroy(table: str) -> str:
    """The transaction after which the tables do not exist, whether they did or not."""
    return "".join(f"add table {ip} {table}\ndelete table {ip} {table}\n" for ip in families())


def families() -> tuple[str, ...]:
    """The names of the families that have a table."""
    return tuple(_WORDS[version]["ip"] for version in VERSIONS)


def _table(table: str, version: int, bridges: list[BridgeConfig], entries: list[Element]) -> str:
    known = {each: family for each in bridges if (family := each.family(version)) is not None}
    by_map: dict[str, list[str]] = {_BY_ADDRESS: [], _ON_ANY: [], _DIRECT: []}
    for entry in entries:
        by_map[entry.map_name].append(entry.text)
    return _TABLE.format(
        **_WORDS[version],
        table=table,
        subnets=_elements(
            str(family.subnet)
            for each, family in known.items()
            if each.masquerade and family.mode in {GatewayMode.NAT, GatewayMode.UNPROTECTED}
        ),
        own=_elements(f'"{each.name}" . {family.subnet}' for each, family in known.items()),
        # All of them: on a bridge without the version nothing of it passes.
        bridges=_elements(f'"{each.name}"' for each in bridges),
        icc=_elements(f'"{each.name}" . "{each.name}"' for each in known if each.icc),
        internal=_elements(f'"{each.name}"' for each in bridges if each.internal),
        routed=_elements(_with_mode(known, GatewayMode.ROUTED)),
        unprotected=_elements(_with_mode(known, GatewayMode.UNPROTECTED)),
        trusted=_elements(f'"{other}" . "{each.name}"' for each in known for other in each.trusted),
        published=_elements(by_map[_BY_ADDRESS]),
        published_any=_elements(by_map[_ON_ANY]),
        direct=_elements(by_map[_DIRECT]),
    )


def _with_mode(known: Mapping[BridgeConfig, BridgeFamily], mode: GatewayMode) -> Iterable[str]:
    return (f'"{each.name}"' for each, family in known.items() if family.mode is mode)


def _change(verb: str, table: str, entries: Iterable[tuple[Element, str]]) -> str:
    by_map: dict[tuple[int, str], list[str]] = {}
    for entry, text in entries:
        by_map.setdefault((entry.version, entry.map_name), []).append(text)
    return "".join(
        f"{verb} element {_WORDS[version]['ip']} {table} {name} {{ {', '.join(texts)} }}\n"
        for (version, name), texts in by_map.items()
    )


def _elements(texts: Iterable[str]) -> str:
    joined = ", ".join(dict.fromkeys(texts))
    return f"elements = {{ {joined} }}" if joined else ""
