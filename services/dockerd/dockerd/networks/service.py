"""The verbs on networks, as clients see them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final

from dockerd.events.bus import EventBus
from dockerd.filters import Filters
from dockerd.moments import moment
from dockerd.networks.controller import NetworkController
from dockerd.networks.creation import configured, parse
from dockerd.networks.errors import HasEndpoints, NetworkNotFound
from dockerd.networks.model import NetworkRecord, NetworkView
from wire.errors import InvalidArgument

_FILTERS: Final = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
_PRUNE_FILTERS: Final = frozenset({"label", "label!", "until"})


class NetworkService:
    """Networks in Docker's JSON."""

    def __init__(
        self,
        controller: NetworkController,
        events: EventBus,
        defaults: Mapping[str, Mapping[str, str]],
    ) -> None:
        """``defaults`` are options of new networks, by driver, for who does not set them."""
        self._controller = controller
        self._events = events
        self._defaults = defaults

    def find(self, wanted: Filters, *, containers: bool = False) -> list[dict[str, Any]]:
        """GET /networks, with their containers if that is wanted; raises InvalidArgument for a filter."""
        wanted.check(_FILTERS)
        for value in wanted.get("type"):
            if value not in {"builtin", "custom"}:
                raise InvalidArgument(f"invalid filter: 'type'='{value}'")
        return [
            _document(view, containers=containers)
            for view in self._controller.list_networks()
            if _shown(view, wanted)
        ]

    def inspect(self, reference: str) -> dict[str, Any]:
        """GET /networks/{id}; raises NetworkNotFound, AmbiguousNetwork."""
        return _document(self._controller.inspect(reference), containers=True)

    async def create(self, document: dict[str, Any], *, namesakes: bool = False) -> dict[str, Any]:
        """POST /networks/create, with ``namesakes`` also of a name that is taken.

        Raises InvalidArgument, Conflict, PermissionDenied, NotImplementedYet kinds.
        """
        draft = parse(document, self._defaults)
        if draft.config_from:
            draft = configured(draft, self._controller.configuration(draft.config_from))
        record = await self._controller.create(draft, namesakes=namesakes)
        self._say("create", record)
        return {"Id": record.network_id, "Warning": ""}

    async def remove(self, reference: str) -> None:
        """DELETE /networks/{id}; raises NetworkNotFound, PredefinedRemoval, HasEndpoints."""
        self._say("destroy", await self._controller.remove(reference))

    async def prune(self, wanted: Filters) -> list[str]:
        """POST /networks/prune: remove user-defined networks without endpoints; their names."""
        wanted.check(_PRUNE_FILTERS)
        if len(wanted.get("until")) > 1:
            raise InvalidArgument("more than one until filter specified")
        until = moment(next(iter(wanted.get("until")), None))
        removed = []
        for view in self._controller.list_networks():
            network = view.network
            if network.predefined or network.config_only or view.containers:
                continue
            if not _chosen(network, wanted, until):
                continue
            # A container was started on it meanwhile, or somebody else removed it.
            with contextlib.suppress(HasEndpoints, NetworkNotFound):
                await self.remove(network.network_id)
                removed.append(network.name)
        return removed

    def _say(self, action: str, record: NetworkRecord) -> None:
        attributes = {"name": record.name, "type": record.driver}
        self._events.publish("network", action, record.network_id, attributes)


def _chosen(network: NetworkRecord, wanted: Filters, until: float | None) -> bool:
    created = moment(network.created) or 0.0
    return (
        wanted.labels(network.labels)
        and wanted.without_labels(network.labels)
        and (until is None or created < until)
    )


def _shown(view: NetworkView, wanted: Filters) -> bool:
    network = view.network
    kind = "builtin" if network.predefined else "custom"
    if "dangling" in wanted and wanted.boolean("dangling") == (
        network.predefined or bool(view.containers)
    ):
        return False
    return (
        wanted.match("name", network.name)
        and wanted.match("id", network.network_id)
        and wanted.exact("driver", network.driver)
        and wanted.exact("scope", network.scope)
        and wanted.exact("type", kind)
        and wanted.labels(network.labels)
    )


def _pool(network: NetworkRecord) -> list[dict[str, Any]]:
    found = []
    for each in network.ipam:
        entry: dict[str, Any] = {"Subnet": each.subnet}
        if each.gateway:
            entry["Gateway"] = each.gateway
        if each.ip_range:
            entry["IPRange"] = each.ip_range
        if each.auxiliary:
            entry["AuxiliaryAddresses"] = dict(each.auxiliary)
        found.append(entry)
    return found


def _document(view: NetworkView, *, containers: bool) -> dict[str, Any]:
    network = view.network
    found: dict[str, Any] = {
        "Name": network.name,
        "Id": network.network_id,
        "Created": network.created,
        "Scope": network.scope,
        "Driver": network.driver,
        "EnableIPv4": network.enable_ipv4,
        "EnableIPv6": network.enable_ipv6,
        "IPAM": {
            "Driver": network.ipam_driver,
            "Options": network.ipam_options,
            "Config": _pool(network),
        },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": network.ingress,
        "ConfigFrom": {"Network": network.config_from},
        "ConfigOnly": network.config_only,
        "Containers": {},
        "Options": dict(network.options),
        "Labels": dict(network.labels),
    }
    if containers:
        found["Containers"] = {
            each.container_id: {
                "Name": each.name,
                "EndpointID": each.endpoint_id,
                "MacAddress": each.mac,
                "IPv4Address": each.ipv4,
                "IPv6Address": each.ipv6,
            }
            for each in view.containers
        }
    return found
