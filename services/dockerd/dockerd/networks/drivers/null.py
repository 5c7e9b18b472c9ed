"""``--network none``: a namespace with nothing but loopback."""

from __future__ import annotations

from collections.abc import Iterable

from dockerd.networks.model import (
    AttachRequest,
    EndpointRecord,
    EndpointRequest,
    NetworkRecord,
)
from dockerd.networks.netlink import namespaces


class NullDriver:
    """The absence of a network."""

    def __init__(self, home: int) -> None:
        """``home`` is a descriptor of the host's network namespace."""
        self._home = home

    def plan(
        self,
        network: NetworkRecord,
        request: AttachRequest,
        wanted: EndpointRequest,
        draft: EndpointRecord,
    ) -> EndpointRecord:
        """The draft as it is."""
        del network, request, wanted
        return draft

    def build(self, endpoint: EndpointRecord) -> None:
        """Make the namespace and bring up its loopback."""
        with namespaces.created(endpoint.netns_path, self._home) as inner:
            namespaces.loopback_up(inner)

    def teardown(self, endpoint: EndpointRecord) -> None:
        """Nothing but the namespace, which its owner drops."""

    def unplug(self, endpoint: EndpointRecord) -> None:
        """Nothing to remove."""

    def restore(self, endpoint: EndpointRecord) -> None:
        """Nothing to reserve."""

    def repair(self, endpoints: Iterable[EndpointRecord]) -> None:
        """Nothing to repair."""
