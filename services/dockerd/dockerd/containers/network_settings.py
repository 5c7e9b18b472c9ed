"""The networks of a container as `inspect` and `ps` show them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from dockerd.containers import joined
from dockerd.containers.model import Container
from dockerd.networks.controller import NetworkController
from wire.errors import NotFound

_SHARED = ("MacAddress", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen")
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
    if attachment is None:
        mode = joined.network_mode(container.host)
        # A name that no network has fails at start, as in Docker.
        if not mode.startswith("container:"):
            with contextlib.suppress(NotFound):
                found["Networks"][mode] = _endpoint(mode, networks)
        return found
    found["SandboxID"] = attachment.sandbox_id
    found["SandboxKey"] = attachment.netns_path or ""
    found["Ports"] = dict(attachment.ports)
    for record in attachment.endpoints:
        entry = _endpoint(record.network_name, networks)
        entry["MacAddress"], entry["NetworkID"] = record.mac, record.network_id
        entry["EndpointID"], entry["Gateway"] = record.endpoint_id, record.gateway
        entry["IPAddress"], entry["IPPrefixLen"] = record.ipv4, record.prefix
        found["Networks"][record.network_name] = entry
        if record.network_name == "bridge":
            found |= {key: entry[key] for key in _SHARED}
    return found


def _endpoint(name: str, networks: NetworkController) -> dict[str, Any]:
    return {
        "IPAMConfig": None, "Links": None, "Aliases": None, "MacAddress": "", "DriverOpts": None, "GwPriority": 0,
        "NetworkID": networks.inspect(name).network.network_id, "EndpointID": "", "Gateway": "", "IPAddress": "",
        "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "DNSNames": None,
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
            outside = {"IP": each["HostIp"], "PublicPort": int(each["HostPort"])}
            found.append({**inside, **outside})
    return found
