"""``--network host``: no namespace, no address, nothing to undo."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dockerd.networks.model import (
    AttachRequest,
    EndpointRecord,
    EndpointRequest,
    NetworkRecord,
)


class HostDriver:
    """The host's own network."""

    def plan(
        self,
        network: NetworkRecord,
        request: AttachRequest,
        wanted: EndpointRequest,
        draft: EndpointRecord,
    ) -> EndpointRecord:
        """An endpoint without a namespace; published ports are discarded, as Docker does."""
        del network, request, wanted
        return replace(draft, netns_path="")

    def build(self, endpoint: EndpointRecord) -> None:
        """Nothing to make."""

    def teardown(self, endpoint: EndpointRecord) -> None:
        """Nothing to remove."""

    def unplug(self, endpoint: EndpointRecord) -> None:
        """Nothing to remove."""

    def restore(self, endpoint: EndpointRecord) -> None:
        """Nothing to reserve."""

    def repair(self, endpoints: Iterable[EndpointRecord]) -> None:
        """Nothing to repair."""
