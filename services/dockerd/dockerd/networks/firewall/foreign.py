"""Living beside another engine's or administrator's filter on forwarded packets.

An accept in our own table does not override a drop elsewhere. So where iptables' or ip6tables' ``filter`` table drops
forwarded packets, two accepts per bridge go into ``DOCKER-USER`` (which Docker leaves to others) or else to the top of
``FORWARD``. Our own ``inbound`` chain still decides what may enter a bridge.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dockerd.linux.libnftables import Nftables, NftablesError
from dockerd.networks.firewall import legacy

logger = logging.getLogger(__name__)

_USER_CHAIN: Final = "DOCKER-USER"
_FORWARD: Final = "FORWARD"
_FAMILIES: Final = {4: "ip", 6: "ip6"}
_DROPPING: Final = frozenset({"drop", "reject", "xt"})


@dataclass(frozen=True, slots=True)
class _Rule:
    handle: int
    comment: str
    interfaces: frozenset[tuple[str, str]]
    dropping: bool


class ForeignFilter:
    """The accepts of one stack in the iptables and ip6tables filter tables."""

    def __init__(self, nftables: Nftables, table: str) -> None:
        self._nftables = nftables
        self._comment = f"dockyard:{table}"

    def serve(self, bridges: Mapping[int, tuple[str, ...]]) -> None:
        """Add the accepts that are needed and missing, for the bridges that have an IP version.

        A foreign filter that resists is logged, not fatal.
        """
        for version, names in bridges.items():
            if not names:
                continue
            try:
                self._serve_nft(_FAMILIES[version], names)
            except NftablesError as error:
                logger.warning("foreign forward filter not served", extra={"error": str(error)})
            legacy.serve(version, names, self._comment)

    def withdraw(self) -> None:
        """Remove every accept of this stack."""
        for version, family in _FAMILIES.items():
            for chain in (_USER_CHAIN, _FORWARD):
                for rule in self._rules(family, chain):
                    if rule.comment == self._comment:
                        handle = f"{chain} handle {rule.handle}"
                        self._nftables.run(f"delete rule {family} filter {handle}")
            legacy.withdraw(version, self._comment)

    def _serve_nft(self, family: str, bridges: tuple[str, ...]) -> None:
        policies = self._policies(family)
        if _FORWARD not in policies:
            return
        chain = _USER_CHAIN if _USER_CHAIN in policies else _FORWARD
        rules = self._rules(family, chain)
        if (
            chain == _FORWARD
            and policies[_FORWARD] != "drop"
            and not any(rule.dropping for rule in rules)
        ):
            return
        present = {
            pair for rule in rules if rule.comment == self._comment for pair in rule.interfaces
        }
        commands = [
            f'insert rule {family} filter {chain} {direction} "{bridge}" counter accept comment "{self._comment}"'
            for bridge in bridges
            for direction in ("iifname", "oifname")
            if (direction, bridge) not in present
        ]
        if commands:
            self._nftables.run("\n".join(commands))
            logger.info(
                "foreign forward filter served", extra={"chain": chain, "rules": len(commands)}
            )

    def _policies(self, family: str) -> dict[str, str]:
        """The chains of the filter table with their policies."""
        listing = json.loads(self._nftables.run(f"list chains {family}", json=True))
        return {
            chain["name"]: chain.get("policy", "")
            for item in listing["nftables"]
            if (chain := item.get("chain")) is not None and chain["table"] == "filter"
        }

    def _rules(self, family: str, chain: str) -> list[_Rule]:
        try:
            text = self._nftables.run(f"list chain {family} filter {chain}", json=True)
        except NftablesError:
            return []
        return [_parse(item["rule"]) for item in json.loads(text)["nftables"] if "rule" in item]


def _parse(rule: dict[str, Any]) -> _Rule:
    interfaces: set[tuple[str, str]] = set()
    dropping = False
    for expression in rule.get("expr", ()):
        match = expression.get("match")
        if match is not None and isinstance(match.get("left"), dict):
            key = match["left"].get("meta", {}).get("key", "")
            if isinstance(match.get("right"), str):
                interfaces.add((key, match["right"]))
        dropping = dropping or bool(_DROPPING & expression.keys())
    return _Rule(
        handle=rule["handle"],
        comment=rule.get("comment", ""),
        interfaces=frozenset(interfaces),
        dropping=dropping,
    )
