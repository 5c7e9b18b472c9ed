"""Containers as `inspect` and `ps` show them."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from typing import Any

from dockerd.containers import hostconfig
from dockerd.containers.model import NEVER, Container
from dockerd.images.store import Image
from dockerd.networks.controller import NetworkController
from dockerd.networks.model import Attachment
from wire.errors import NotFound


def inspect(
    container: Container,
    networks: NetworkController,
    layers: tuple[list[str], str, str] | None,
    merged: str,
    execs: list[str],
) -> dict[str, Any]:
    """GET /containers/{id}/json; ``layers`` are lower directories, upper and work directory."""
    attachment = networks.attachment(container.container_id) if container.running else None
    return {
        "Id": container.container_id,
        "Created": container.created,
        "Path": container.path,
        "Args": container.args,
        "State": dict(container.state),
        "Image": container.image,
        "ResolvConfPath": f"{container.directory}/resolv.conf",
        "HostnamePath": f"{container.directory}/hostname",
        "HostsPath": f"{container.directory}/hosts",
        "LogPath": container.log_path,
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": execs or None,
        "HostConfig": _host(container),
        "GraphDriver": {
            "Name": "overlay2",
            "Data": None
            if layers is None
            else {
                "ID": container.container_id,
                "LowerDir": ":".join(layers[0]),
                "UpperDir": layers[1],
                "WorkDir": layers[2],
                "MergedDir": merged,
            },
        },
        "Mounts": [_mount(point) for point in container.mounts],
        "Config": {**container.config, "Image": container.image_name},
        "NetworkSettings": _network_settings(container, attachment, networks),
    }


def _host(container: Container) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "Binds": None, "ContainerIDFile": "", "LogConfig": {"Type": "json-file", "Config": {}}, "NetworkMode": "bridge",
        "PortBindings": {}, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "AutoRemove": False, "VolumeDriver": "",
        "VolumesFrom": None, "ConsoleSize": [0, 0], "CapAdd": None, "CapDrop": None, "CgroupnsMode": "host", "Dns": [],
        "DnsOptions": [], "DnsSearch": [], "ExtraHosts": None, "GroupAdd": None, "IpcMode": "private", "Cgroup": "",
        "Links": None, "OomScoreAdj": 0, "PidMode": "", "Privileged": False, "PublishAllPorts": False,
        "ReadonlyRootfs": False, "SecurityOpt": None, "UTSMode": "", "UsernsMode": "", "ShmSize": 67108864,
        "Runtime": "io.containerd.dockyard.v1", "Isolation": "", "CpuShares": 0, "Memory": 0, "NanoCpus": 0,
        "CgroupParent": "", "CpuPeriod": 0, "CpuQuota": 0, "CpusetCpus": "", "CpusetMems": "", "Devices": [],
        "MemoryReservation": 0, "MemorySwap": 0, "MemorySwappiness": None, "OomKillDisable": None, "PidsLimit": None,
        "Ulimits": [],
    }  # fmt: skip
    found = {
        **defaults,
        **{key: value for key, value in container.host.items() if value not in (None, "")},
    }
    if found["NetworkMode"] == "default":
        found["NetworkMode"] = "bridge"
    if not (found.get("LogConfig") or {}).get("Type"):
        found["LogConfig"] = {
            "Type": "json-file",
            "Config": (found.get("LogConfig") or {}).get("Config") or {},
        }
    if not (found.get("RestartPolicy") or {}).get("Name"):
        found["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
    if found["Memory"] and not found["MemorySwap"]:
        found["MemorySwap"] = 2 * found["Memory"]
    return found


def _mount(point: dict[str, Any]) -> dict[str, Any]:
    keys = ("Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation")
    return {key: point[key] for key in keys if key in point}


def _network_settings(
    container: Container, attachment: Attachment | None, networks: NetworkController
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Bridge": "", "SandboxID": "", "SandboxKey": "", "Ports": {}, "HairpinMode": False, "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0, "SecondaryIPAddresses": None, "SecondaryIPv6Addresses": None, "EndpointID": "",
        "Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "IPAddress": "", "IPPrefixLen": 0,
        "IPv6Gateway": "", "MacAddress": "", "Networks": {},
    }  # fmt: skip
    mode = hostconfig.network_mode(container.host)
    if attachment is None:
        # A name that no network has fails at start, as in Docker.
        if not mode.startswith("container:"):
            with contextlib.suppress(NotFound):
                found["Networks"][mode] = _endpoint(mode, networks)
        return found
    found.update(
        SandboxID=attachment.sandbox_id,
        SandboxKey=attachment.netns_path or "",
        Ports=dict(attachment.ports),
    )
    for record in attachment.endpoints:
        entry = _endpoint(record.network_name, networks)
        entry.update(
            MacAddress=record.mac,
            NetworkID=record.network_id,
            EndpointID=record.endpoint_id,
            Gateway=record.gateway,
            IPAddress=record.ipv4,
            IPPrefixLen=record.prefix,
        )
        found["Networks"][record.network_name] = entry
        if record.network_name == "bridge":
            for key in ("MacAddress", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen"):
                found[key] = entry[key]
    return found


def _endpoint(name: str, networks: NetworkController) -> dict[str, Any]:
    return {
        "IPAMConfig": None, "Links": None, "Aliases": None, "MacAddress": "", "DriverOpts": None, "GwPriority": 0,
        "NetworkID": networks.inspect(name).network.network_id, "EndpointID": "", "Gateway": "", "IPAddress": "",
        "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "DNSNames": None,
    }  # fmt: skip


def summary(container: Container, networks: NetworkController) -> dict[str, Any]:
    """One entry of GET /containers/json."""
    attachment = networks.attachment(container.container_id) if container.running else None
    ports: list[dict[str, Any]] = []
    for key, bindings in (attachment.ports if attachment else {}).items():
        number, _, protocol = key.partition("/")
        if not bindings:
            ports.append({"PrivatePort": int(number), "Type": protocol})
        ports.extend(
            {
                "IP": each["HostIp"],
                "PrivatePort": int(number),
                "PublicPort": int(each["HostPort"]),
                "Type": protocol,
            }
            for each in bindings or []
        )
    settings = _network_settings(container, attachment, networks)
    return {
        "Id": container.container_id,
        "Names": [f"/{container.name}"],
        "Image": container.image_name,
        "ImageID": container.image,
        "Command": " ".join([container.path, *container.args]),
        "Created": int(_seconds(container.created)),
        "Ports": ports,
        "Labels": container.config.get("Labels") or {},
        "State": container.state["Status"],
        "Status": status(container),
        "HostConfig": {"NetworkMode": hostconfig.network_mode(container.host)},
        "NetworkSettings": {"Networks": settings["Networks"]},
        "Mounts": [_mount(point) for point in container.mounts],
    }


def status(container: Container) -> str:
    """``Up 3 minutes``, ``Exited (0) 2 hours ago``."""
    state = container.state
    if state["Running"]:
        since = _human(time.time() - _seconds(state["StartedAt"]))
        return f"Up {since} (Paused)" if state["Paused"] else f"Up {since}"
    ago = (
        _human(time.time() - _seconds(state["FinishedAt"])) if state["FinishedAt"] != NEVER else ""
    )
    if state["Restarting"]:
        return f"Restarting ({state['ExitCode']}) {ago} ago"
    if state["Status"] == "created":
        return "Created"
    return f"Exited ({state['ExitCode']}) {ago} ago"


def _seconds(text: str) -> float:
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()


def _human(seconds: float) -> str:
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"


def image_summary(image: Image, containers: int) -> dict[str, Any]:
    """One entry of GET /images/json."""
    created = image.config.get("created") or "1970-01-01T00:00:00Z"
    return {
        "Id": image.image_id,
        "ParentId": "",
        "RepoTags": image.tags,
        "RepoDigests": image.repo_digests,
        "Created": int(max(0.0, _seconds(created))),
        "Size": image.size,
        "SharedSize": -1,
        "Labels": (image.config.get("config") or {}).get("Labels"),
        "Containers": containers,
    }
