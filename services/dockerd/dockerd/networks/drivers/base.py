"""What a network driver does for the controller."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from dockerd.networks.model import (
    AttachRequest,
    EndpointRecord,
    EndpointRequest,
    NetworkRecord,
)


class Driver(Protocol):
    """One kind of network. Every method runs on the networks' thread and may block for microseconds, not longer."""

    def plan(
        self,
        network: NetworkRecord,
        request: AttachRequest,
        wanted: EndpointRequest,
        draft: EndpointRecord,
    ) -> EndpointRecord:
        """Complete a draft: choose addresses and host ports, and reserve them in memory.

        Nothing in the kernel refers to the endpoint yet, but its ports are bound. Raises InvalidArgument, AddressInUse,
        NoAddressLeft, ConnectivityFailed.
        """

    def build(self, endpoint: EndpointRecord) -> None:
        """Make what the record says; whatever was made is undone by ``teardown``, also after a failure."""

    def teardown(self, endpoint: EndpointRecord) -> None:
        """Free what ``plan`` reserved, before the whole namespace goes; harmless for what does not exist."""

    def unplug(self, endpoint: EndpointRecord) -> None:
        """The same for an endpoint whose namespace lives on: its interface goes, too."""

    def restore(self, endpoint: EndpointRecord) -> None:
        """Reserve again, in memory, what a recorded endpoint has."""

    def repair(self, endpoints: Iterable[EndpointRecord]) -> None:
        """Bring the kernel in line with the endpoints that are left, and remove what belongs to none."""
