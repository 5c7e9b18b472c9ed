"""`docker inspect` of containers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dockerd.containers import endpoint_request, network_settings
from dockerd.containers.model import Container
from dockerd.containers.rootfs import RootFilesystems
from dockerd.containers.store import ContainerStore
from dockerd.images.store import ImageStore
from dockerd.networks.controller import NetworkController
from dockerd.spec.mounts import MASKED, READ_ONLY


class Inspector:
    """Shows containers."""

    def __init__(
        self,
        store: ContainerStore,
        networks: NetworkController,
        rootfs: RootFilesystems,
        images: ImageStore,
        execs_of: Callable[[str], list[str]],
    ) -> None:
        """``execs_of`` gives the ids of the execs that run in a container."""
        self._store = store
        self._networks = networks
        self._rootfs = rootfs
        self._images = images
        self._execs_of = execs_of

    async def inspect(self, reference: str, *, sized: bool) -> dict[str, Any]:
        """GET /containers/{id}/json; with ``sized`` also the bytes of its layers."""
        container = self._store.get(reference)
        found = {
            "Id": container.container_id,
            "Created": container.created,
            "Path": container.path,
            "Args": container.args,
            "State": container.state.document(),
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
            "ExecIDs": self._execs_of(container.container_id) or None,
            "HostConfig": _host(container),
            "GraphDriver": {"Name": "overlay2", "Data": await self._layers(container)},
            "Mounts": [mount_of(point) for point in container.mounts],
            "Config": _config(container),
            "NetworkSettings": network_settings.of(container, self._networks),
        }
        if container.image_manifest:
            found["ImageManifestDescriptor"] = container.image_manifest
        if sized:
            found |= await self._rootfs.sizes(container, self._images)
        return found

    def wanted_mac(self, reference: str) -> str:
        """The MAC address that was asked for on a container's main network; empty for any."""
        container = self._store.get(reference)
        settings = endpoint_request.endpoints(container).get(endpoint_request.primary(container))
        return str((settings or {}).get("MacAddress") or container.config.get("MacAddress") or "")

    async def _layers(self, container: Container) -> dict[str, str] | None:
        layers = await self._rootfs.layers(container)
        if layers is None:
            return None
        lower, upper, work = layers
        return {
            "ID": container.container_id,
            "LowerDir": ":".join(lower),
            "UpperDir": upper,
            "WorkDir": work,
            "MergedDir": self._rootfs.path(container),
        }


def _config(container: Container) -> dict[str, Any]:
    """What the container was created with; what was not said has its default, as in Docker."""
    defaults: dict[str, Any] = {
        "Hostname": "", "Domainname": "", "User": "", "AttachStdin": False, "AttachStdout": False, "AttachStderr": False,
        "Tty": False, "OpenStdin": False, "StdinOnce": False, "Env": None, "Cmd": None, "Volumes": None, "WorkingDir": "",
        "Entrypoint": None, "OnBuild": None, "Labels": {},
    }  # fmt: skip
    given = {key: value for key, value in container.config.items() if value is not None}
    return {**defaults, **given, "Image": container.image_name}


def _host(container: Container) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "Binds": None, "ContainerIDFile": "", "LogConfig": {"Type": "json-file", "Config": {}}, "NetworkMode": "bridge",
        "PortBindings": {}, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, "AutoRemove": False, "VolumeDriver": "",
        "VolumesFrom": None, "ConsoleSize": [0, 0], "CapAdd": None, "CapDrop": None, "CgroupnsMode": "host", "Dns": [],
        "DnsOptions": [], "DnsSearch": [], "ExtraHosts": None, "GroupAdd": None, "IpcMode": "private", "Cgroup": "",
        "Links": None, "OomScoreAdj": 0, "PidMode": "", "Privileged": False, "PublishAllPorts": False,
        "ReadonlyRootfs": False, "SecurityOpt": None, "MaskedPaths": list(MASKED), "ReadonlyPaths": list(READ_ONLY),
        "DeviceCgroupRules": None, "DeviceRequests": None, "BlkioWeight": 0, "BlkioWeightDevice": [], "BlkioDeviceReadBps": [],
        "BlkioDeviceWriteBps": [], "BlkioDeviceReadIOps": [], "BlkioDeviceWriteIOps": [], "CpuRealtimePeriod": 0,
        "CpuRealtimeRuntime": 0, "CpuCount": 0, "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0,
        "UTSMode": "", "UsernsMode": "", "ShmSize": 67108864,
        "Runtime": "runc", "Isolation": "", "CpuShares": 0, "Memory": 0, "NanoCpus": 0,
        "CgroupParent": "", "CpuPeriod": 0, "CpuQuota": 0, "CpusetCpus": "", "CpusetMems": "", "Devices": [],
        "MemoryReservation": 0, "MemorySwap": 0, "MemorySwappiness": None, "OomKillDisable": None, "PidsLimit": None,
        "Ulimits": [],
    }  # fmt: skip
    found = {
        **defaults,
        **{key: value for key, value in container.host.items() if value not in (None, "")},
    }
    log = found["LogConfig"]
    found["LogConfig"] = {"Type": log.get("Type") or "json-file", "Config": log.get("Config") or {}}
    return found


def mount_of(point: dict[str, Any]) -> dict[str, Any]:
    """One entry of Mounts."""
    keys = ("Type", "Name", "Source", "Destination", "Driver", "Mode", "RW", "Propagation")
    return {key: point[key] for key in keys if key in point}
