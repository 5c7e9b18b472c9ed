"""The verbs on networks, as clients see them."""

from __future__ import annotations

from typing import Any, Final

from dockerd.filters import Filters
from dockerd.networks.controller import NetworkController
from dockerd.networks.model import NetworkRecord, NetworkView

_FILTERS: Final = frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})


class NetworkService:
    """Networks in Docker's JSON."""

    def __init__(self, controller: NetworkController) -> None:
        self._controller = controller

    def find(self, wanted: Filters) -> list[dict[str, Any]]:
        """GET /networks; raises InvalidArgument for a filter."""
        wanted.check(_FILTERS)
        return [
            _document(view, containers=False)
            for view in self._controller.list_networks()
            if _shown(view, wanted)
        ]

    def inspect(self, reference: str) -> dict[str, Any]:
        """GET /networks/{id}; raises NetworkNotFound, AmbiguousNetwork."""
        return _document(self._controller.inspect(reference), containers=True)

    async def create(self, document: dict[str, Any]) -> NetworkRecord:
        """POST /networks/create."""
        return await self._controller.create(document.get("Name") or "")

    async def remove(self, reference: str) -> None:
        """DELETE /networks/{id}; raises NetworkNotFound, PredefinedRemoval."""
        await self._controller.remove(reference)


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
            "Config": [{"Subnet": each.subnet, "Gateway": each.gateway} for each in network.ipam],
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
