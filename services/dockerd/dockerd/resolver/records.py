"""What the resolver knows: names on networks, and which networks a container sees."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Network:
    """Names (lower case) with their addresses, and addresses with their names."""

    names: dict[str, list[str]] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class View:
    """What one container may see: networks in order, aliases of its own for other names, servers for everything else."""

    networks: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    servers: list[str] = field(default_factory=list)


class Records:
    """Everything that dockerd has told us."""

    def __init__(self) -> None:
        self._networks: dict[str, Network] = {}
        self._views: dict[str, View] = {}

    def set_network(self, message: dict[str, Any]) -> None:
        """Replace what is known of a network."""
        self._networks[message["network"]] = Network(message["names"], message["addresses"])

    def forget_network(self, network: str) -> None:
        """It is gone."""
        self._networks.pop(network, None)

    def set_view(self, message: dict[str, Any]) -> None:
        """Replace what a sandbox sees."""
        self._views[message["sandbox"]] = View(
            message["networks"], message["links"], message["servers"]
        )

    def forget_view(self, sandbox: str) -> None:
        """It is gone."""
        self._views.pop(sandbox, None)

    def servers(self, sandbox: str) -> list[str]:
        """Where a sandbox's other questions go; none for one that sees internal networks alone."""
        view = self._views.get(sandbox)
        return view.servers if view else []

    def addresses(self, sandbox: str, name: str) -> list[str] | None:
        """The addresses of a name, in random order; None if it is not ours."""
        view = self._views.get(sandbox)
        if view is None:
            return None
        name = view.links.get(name, name)
        for network in view.networks:
            known = self._networks.get(network)
            found = known.names.get(name) if known else None
            if found:
                return random.sample(found, len(found))
        return None

    def name(self, sandbox: str, address: str) -> str | None:
        """The name of an address; None if it is not ours."""
        view = self._views.get(sandbox)
        for network in view.networks if view else ():
            known = self._networks.get(network)
            if known and address in known.addresses:
                return known.addresses[address]
        return None
