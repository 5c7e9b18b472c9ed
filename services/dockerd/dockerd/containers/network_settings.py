"""The networks of a container as `inspect` and `ps` show them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from dockerd.containers import endpoint_request
from dockerd.containers.model import Container
from dockerd.networks.controller import NetworkController
from wire.errors import NotFound

_SHARED = (
    "MacAddress", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "IPv6Gateway", "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
)  # fmt: skip
Ports = Mapping[str, list[dict[str, str]] | None]


def of(container: Container, networks: NetworkController) -> dict[str, Any]:
    """NetworkSettings of a container."""
    found: dict[str, Any] = {
        "Bridge": "", "SandboxID": "", "SandboxKey": "", "Ports": {}, "HairpinMode": False, "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0, "SecondaryIPAddresses": None, "SecondaryIPv6Addresses": None, "EndpointID": "",
        "Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "IPAddress": "", "IPPrefixLen": 0,
        "IPv6Gateway": "", "MacAddress": "", "Networks": {},
    }  # fmt: skip
    attachment = networks.attachment(container.container_id) if container.running else None
    settings = endpoint_request.endpoints(container)
    if attachment is None:
        for name in settings:
            # A name that no network has fails at start, as in Docker.
            with contextlib.suppress(NotFound):
                network = networks.inspect(name).network
                found["Networks"][network.name] = _endpoint(network.network_id, settings.get(name))
        return found
    found["SandboxID"] = attachment.sandbox_id
    found["SandboxKey"] = attachment.netns_path or ""
    found["Ports"] = dict(attachment.ports)
    for record in attachment.endpoints:
        own = settings.get(record.network_name) or settings.get(record.network_id)
        entry = _endpoint(record.network_id, own)
        entry["MacAddress"], entry["DNSNames"] = record.mac, list(record.dns_names) or None
        entry["EndpointID"], entry["Gateway"] = record.endpoint_id, record.gateway
        entry["IPAddress"], entry["IPPrefixLen"] = record.ipv4, record.prefix
        entry["IPv6Gateway"], entry["GlobalIPv6Address"] = record.gateway6, record.ipv6
        entry["GlobalIPv6PrefixLen"] = record.prefix6
        found["Networks"][record.network_name] = entry
        if record.network_name == "bridge":
            found |= {key: entry[key] for key in _SHARED}
    return found


def _endpoint(network_id: str, settings: dict[str, Any] | None) -> dict[str, Any]:
    own = settings or {}
    return {
        "IPAMConfig": own.get("IPAMConfig"), "Links": own.get("Links"), "Aliases": own.get("Aliases"),
        "MacAddress": own.get("MacAddress") or "",
        "DriverOpts": own.get("DriverOpts"), "GwPriority": own.get("GwPriority") or 0, "NetworkID": network_id, "EndpointID": "",
        "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0, "DNSNames": None,
    }  # fmt: skip


def flat_ports(ports: Ports) -> list[dict[str, Any]]:
    """The PORTS column of `docker ps`: one entry for each host address."""
    found: list[dict[str, Any]] = []
    for key, bindings in ports.items():
        number, _, protocol = key.partition("/")
        inside: dict[str, Any] = {"PrivatePort": int(number), "Type": protocol}
        if not bindings:
            found.append(inside)
        for each in bindings or []:
            entry = {**inside, "IP": each["HostIp"]}
            # One that is open on the container's own address has no port of the host.
            if each["HostPort"]:
                entry["PublicPort"] = int(each["HostPort"])
            found.append(entry)
    return found
