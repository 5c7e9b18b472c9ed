"""The stack's tables in the kernel: kept equal to what the daemon knows."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from dockerd.linux.libnftables import Nftables, NftablesError
from dockerd.networks.errors import FirewallUnavailable
from dockerd.networks.firewall import rules
from dockerd.networks.firewall.foreign import ForeignFilter
from dockerd.networks.model import BridgeConfig, PublishedPort

logger = logging.getLogger(__name__)


class Firewall:
    """The desired bridges and port elements of one stack, and the one table that expresses them.

    Used from the networks' thread only.
    """

    def __init__(self, table: str) -> None:
        try:
            self._nftables = Nftables()
        except OSError as error:
            raise FirewallUnavailable(str(error)) from error
        self.table = table
        self._foreign = ForeignFilter(self._nftables, table)
        self._bridges: dict[str, BridgeConfig] = {}
        self._elements: dict[tuple[int, str, str], rules.Element] = {}
        self._listing = ""

    def set_bridge(self, bridge: BridgeConfig) -> None:
        """Remember a bridge; the next ``ensure`` puts it into the table."""
        self._bridges[bridge.name] = bridge

    def forget_bridge(self, bridge: BridgeConfig) -> None:
        """Forget a bridge; the next ``ensure`` takes it out of the table."""
        self._bridges.pop(bridge.name, None)

    def remember(self, ports: Iterable[PublishedPort], addresses: Iterable[str]) -> None:
        """Remember a container's published ports; the next ``ensure`` puts them into the table."""
        for entry in _entries(ports, addresses):
            self._elements[_key(entry)] = entry

    def ensure(self) -> None:
        """Replace the table by what is remembered, in one transaction, and make peace with foreign filters.

        Raises FirewallUnavailable where the kernel has no nftables.
        """
        try:
            self._nftables.run(
                rules.rebuild(self.table, self._bridges.values(), self._elements.values())
            )
            self._listing = self._list()
        except NftablesError as error:
            raise FirewallUnavailable(str(error)) from error
        self.serve_foreign()

    def verify(self) -> bool:
        """Whether the table's chains and rules are still what ``ensure`` made."""
        try:
            return self._list() == self._listing
        except NftablesError:
            return False

    def serve_foreign(self) -> None:
        """Accept our bridges in a foreign filter that drops forwarded packets, where there is one."""
        self._foreign.serve(
            {
                version: tuple(each.name for each in self._bridges.values() if each.family(version))
                for version in rules.VERSIONS
            }
        )

    def publish(self, ports: Iterable[PublishedPort], addresses: Iterable[str]) -> None:
        """Lead host ports to a container that has these addresses."""
        entries = _entries(ports, addresses)
        for entry in entries:
            self._elements[_key(entry)] = entry
        if entries:
            self._apply(rules.add(self.table, entries))

    def withdraw(self, ports: Iterable[PublishedPort], addresses: Iterable[str]) -> None:
        """Stop leading host ports to a container; harmless for ports that are not published."""
        entries = [
            entry
            for entry in _entries(ports, addresses)
            if self._elements.pop(_key(entry), None) is not None
        ]
        if entries:
            self._apply(rules.remove(self.table, entries))

    def remove(self) -> None:
        """Take the table and the accepts in foreign filters away: the end of the stack, not of the daemon."""
        self._foreign.withdraw()
        self._nftables.run(rules.destroy(self.table))

    def close(self) -> None:
        """Free the library's context; the table stays."""
        self._nftables.close()

    def _apply(self, transaction: str) -> None:
        try:
            self._nftables.run(transaction)
        except NftablesError as error:
            # Somebody flushed the table or an element: the state in memory is the truth, put all of it back.
            logger.warning(
                "firewall table rebuilt", extra={"table": self.table, "error": str(error)}
            )
            self.ensure()

    def _list(self) -> str:
        return "".join(
            self._nftables.run(f"list table {ip} {self.table}", terse=True)
            for ip in rules.families()
        )


def _key(entry: rules.Element) -> tuple[int, str, str]:
    return entry.version, entry.map_name, entry.key


def _entries(ports: Iterable[PublishedPort], addresses: Iterable[str]) -> list[rules.Element]:
    """Each entry once: a container's port may be published twice."""
    known = tuple(addresses)
    return list(dict.fromkeys(entry for port in ports for entry in rules.elements(port, known)))
