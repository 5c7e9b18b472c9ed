"""Networks: bridge, host and none."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from dockerd.api import params
from dockerd.api.deps import Containers
from dockerd.networks.model import NetworkView
from wire.errors import NotImplementedYet

router = APIRouter()


def _view(view: NetworkView, *, containers: bool) -> dict[str, Any]:
    network = view.network
    found: dict[str, Any] = {
        "Name": network.name,
        "Id": network.network_id,
        "Created": network.created,
        "Scope": network.scope,
        "Driver": network.driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": None,
            "Config": [{"Subnet": each.subnet, "Gateway": each.gateway} for each in network.ipam],
        },
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
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


@router.get("/networks")
async def list_networks(request: Request, containers: Containers) -> JSONResponse:
    """`docker network ls`."""
    wanted = params.filters(
        request, frozenset({"dangling", "driver", "id", "label", "name", "scope", "type"})
    )
    found = []
    for view in containers.networks.list_networks():
        network = view.network
        checks: dict[str, Any] = {
            "name": lambda value, network=network: value in network.name,
            "id": lambda value, network=network: network.network_id.startswith(value),
            "driver": lambda value, network=network: network.driver == value,
            "scope": lambda value, network=network: network.scope == value,
            "type": lambda value, network=network: (value == "builtin") == network.predefined,
            "dangling": lambda value: value.lower() in {"0", "false"},
            "label": lambda value, network=network: value.partition("=")[0] in network.labels,
        }
        if all(any(checks[key](value) for value in values) for key, values in wanted.items()):
            found.append(_view(view, containers=False))
    return JSONResponse(found)


@router.get("/networks/{reference}")
async def inspect(reference: str, containers: Containers) -> JSONResponse:
    """`docker network inspect`."""
    return JSONResponse(_view(containers.networks.inspect(reference), containers=True))


@router.post("/networks/create")
async def create(request: Request, containers: Containers) -> Response:
    """User-defined networks are not built yet."""
    document = await params.body(request)
    await containers.networks.create(document.get("Name") or "")
    return Response(status_code=201)


@router.post("/networks/prune")
async def prune() -> JSONResponse:
    """There are predefined networks only, and they stay."""
    return JSONResponse({"NetworksDeleted": None})


@router.post("/networks/{reference}/{verb}")
async def connect(reference: str, verb: str, containers: Containers) -> Response:
    """Connecting running containers is not built yet."""
    containers.networks.inspect(reference)
    raise NotImplementedYet(f"network {verb} is not implemented yet")


@router.delete("/networks/{reference}")
async def remove(reference: str, containers: Containers) -> Response:
    """Predefined networks stay."""
    await containers.networks.remove(reference)
    return Response(status_code=204)
