"""The events of containers, in Docker's attributes."""

from __future__ import annotations

import contextlib

from dockerd.containers.model import Container
from dockerd.events.bus import EventBus
from dockerd.networks.controller import NetworkController
from dockerd.networks.model import Attachment, NetworkRecord
from wire.errors import NotFound


class Announcer:
    """Says what happens to containers; used by every verb."""

    def __init__(self, events: EventBus, networks: NetworkController) -> None:
        self._events = events
        self._networks = networks

    def say(self, container: Container, action: str, more: dict[str, str] | None = None) -> None:
        """One event of type container: its labels, image and name, and what ``more`` has."""
        attributes = {
            **(container.config.get("Labels") or {}),
            "image": container.image_name,
            "name": container.name,
        }
        self._events.publish(
            "container", action, container.container_id, {**attributes, **(more or {})}
        )

    def say_network(self, container: Container, action: str, attachment: Attachment | None) -> None:
        """An event of type network for each network that the container is on: connect or disconnect."""
        for endpoint in attachment.endpoints if attachment else ():
            with contextlib.suppress(NotFound):
                network = self._networks.find(endpoint.network_name)
                self.say_one_network(container, action, network)

    def say_one_network(self, container: Container, action: str, network: NetworkRecord) -> None:
        """The same for one network."""
        attributes = {
            "container": container.container_id,
            "name": network.name,
            "type": network.driver,
        }
        self._events.publish("network", action, network.network_id, attributes)
