"""`docker network connect` and `disconnect`: running containers at once, others at their next start."""

from __future__ import annotations

from typing import Any, Final

from dockerd.containers import endpoint_request, joined, network_files
from dockerd.containers.announce import Announcer
from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from dockerd.networks.controller import NetworkController
from dockerd.networks.errors import ConfigurationOnly, EndpointExists, NotConnected
from dockerd.networks.model import Attachment, NetworkRecord
from wire.errors import Conflict, InvalidArgument

_SHARED: Final = "container sharing network namespace with another container or host cannot be connected to any other network"
_PRIVATE: Final = "container cannot be connected to multiple networks with one of the networks in private (none) mode"


class Connector:
    """Puts containers on networks."""

    def __init__(
        self, store: ContainerStore, networks: NetworkController, announcer: Announcer
    ) -> None:
        self._store = store
        self._networks = networks
        self._announcer = announcer

    async def connect(self, reference: str, name: str, settings: dict[str, Any]) -> None:
        """``settings`` is an EndpointConfig of the right types; raises NotFound, EndpointExists, InvalidArgument, Conflict."""
        container = self._store.get(name)
        network = self._networks.inspect(reference).network
        async with container.lock:
            _check(container, network)
            known = dict(endpoint_request.endpoints(container))
            if self._present(network, known):
                raise EndpointExists(container.name, network.name)
            wanted = endpoint_request.endpoint(network.name, settings)
            known[network.name] = settings
            before = container.networking
            container.networking = {**before, "EndpointsConfig": known}
            attachment = None
            if container.running:
                try:
                    request = endpoint_request.of(container, self._store)
                    attachment = await self._networks.connect(request, wanted)
                except BaseException:
                    container.networking = before
                    raise
            container.save()
            self._written(container, attachment)
        self._announcer.say_one_network(container, "connect", network)

    async def disconnect(self, reference: str, name: str, *, force: bool) -> None:
        """Raises NotFound, NotConnected, Conflict for the host's network."""
        container = self._store.get(name)
        network = self._networks.inspect(reference).network
        async with container.lock:
            if network.driver == "host":
                raise Conflict(
                    "container cannot be disconnected from host network or connected to host network"
                )
            known = dict(endpoint_request.endpoints(container))
            if not self._present(network, known):
                raise NotConnected(container.container_id, network.name)
            for key in (network.name, network.network_id):
                known.pop(key, None)
            container.networking = {**container.networking, "EndpointsConfig": known}
            attachment = None
            if container.running:
                request = endpoint_request.of(container, self._store)
                attachment = await self._networks.disconnect(request, network.network_id)
            container.save()
            self._written(container, attachment)
        self._announcer.say_one_network(container, "disconnect", network)

    @staticmethod
    def _present(network: NetworkRecord, known: dict[str, Any]) -> bool:
        return not {network.name, network.network_id}.isdisjoint(known)

    @staticmethod
    def _written(container: Container, attachment: Attachment | None) -> None:
        if attachment is not None:
            network_files.write(container, attachment)
            container.address = network_files.address_of(attachment)


def _check(container: Container, network: NetworkRecord) -> None:
    if network.config_only:
        raise ConfigurationOnly
    mode = joined.network_mode(container.host)
    if mode == "host" or mode.startswith(joined.JOINED):
        raise InvalidArgument(_SHARED)
    if network.driver == "host":
        raise Conflict(
            "container cannot be disconnected from host network or connected to host network"
        )
    if mode == "none" or network.driver == "null":
        raise InvalidArgument(_PRIVATE)
