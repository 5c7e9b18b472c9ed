"""The daemon about itself: version and info."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty

from dockerd.api_version import MAXIMUM
from dockerd.config import DEFAULT_RUNTIME, LiveConfig, Runtime
from dockerd.containerd_client.client import Containerd
from dockerd.containerd_client.tasks import RUNTIME
from dockerd.containers.model import now
from dockerd.containers.store import ContainerStore
from dockerd.events.bus import EventBus
from dockerd.images.registries import RegistryHosts
from dockerd.images.store import ImageStore
from dockerd.logdrivers.options import DRIVERS
from wire.errors import EngineError
from wire.gen.containerd.services.version.v1 import version_pb2
from wire.registry.proxies import configured, masked

VERSION: Final = "28.2.0"


class SystemService:
    """Answers about the whole daemon."""

    def __init__(
        self,
        config: LiveConfig,
        daemon_id: str,
        containerd: Containerd,
        containers: ContainerStore,
        images: ImageStore,
        registries: RegistryHosts,
        events: EventBus,
        volume_drivers: Callable[[], Awaitable[list[str]]],
    ) -> None:
        """``volume_drivers`` names the drivers that can be had at the moment."""
        self._config = config
        self._containerd = containerd
        self._id = daemon_id
        self._containers = containers
        self._images = images
        self._registries = registries
        self._events = events
        self._volume_drivers = volume_drivers

    async def version(self) -> dict[str, Any]:
        """GET /version; without containerd's part while that is away."""
        kernel = platform.release()
        details = {
            "ApiVersion": MAXIMUM,
            "Arch": "amd64",
            "BuildTime": "",
            "Experimental": "true" if self._config.current.experimental else "false",
            "GitCommit": "dockyard",
            "GoVersion": f"python{platform.python_version()}",
            "KernelVersion": kernel,
            "MinAPIVersion": self._config.current.minimum_api_version,
            "Os": "linux",
        }
        return {
            "Platform": {"Name": "Dockyard"},
            "Components": [
                {"Name": "Engine", "Version": VERSION, "Details": details},
                *await self._below(),
            ],
            "Version": VERSION,
            "ApiVersion": MAXIMUM,
            "MinAPIVersion": self._config.current.minimum_api_version,
            "GitCommit": "dockyard",
            "GoVersion": f"python{platform.python_version()}",
            "Os": "linux",
            "Arch": "amd64",
            "KernelVersion": kernel,
            "BuildTime": "",
            **({"Experimental": True} if self._config.current.experimental else {}),
        }

    async def _below(self) -> list[dict[str, Any]]:
        try:
            found = await self._containerd.call(
                "version.v1.Version", "Version", Empty(), version_pb2.VersionResponse, wait=False
            )
        except EngineError:
            return []
        details = {"GitCommit": found.revision}
        return [{"Name": "containerd", "Version": found.version, "Details": details}]

    def states(self) -> dict[str, int]:
        """How many containers are running, paused and stopped."""
        containers = list(self._containers)
        paused = sum(1 for each in containers if each.state.paused)
        running = sum(1 for each in containers if each.running) - paused
        return {
            "running": running,
            "paused": paused,
            "stopped": len(containers) - running - paused,
        }

    def host(self) -> dict[str, Any]:
        """The engine and what it runs on."""
        with open("/proc/meminfo", encoding="ascii") as file:
            memory = int(file.readline().split()[1]) * 1024
        return {
            "ID": self._id,
            "Driver": "overlay2",
            "KernelVersion": platform.release(),
            "OperatingSystem": _os_name(),
            "OSVersion": "",
            "OSType": "linux",
            "Architecture": platform.machine(),
            "NCPU": os.cpu_count(),
            "MemTotal": memory,
            "ServerVersion": VERSION,
        }

    async def info(self) -> dict[str, Any]:
        """GET /info."""
        config, registries = self._config.current, self._registries.settings
        states, found = self.states(), configured()
        unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
        return {
            **self.host(),
            "Containers": sum(states.values()),
            "ContainersRunning": states["running"],
            "ContainersPaused": states["paused"],
            "ContainersStopped": states["stopped"],
            "Images": len(await self._images.list()),
            "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
            "Plugins": {
                "Volume": await self._volume_drivers(),
                "Network": ["bridge", "host", "null"],
                "Authorization": list(config.authorization_plugins) or None,
                "Log": list(DRIVERS),
            },
            "MemoryLimit": True,
            "SwapLimit": True,
            "CpuCfsPeriod": True,
            "CpuCfsQuota": True,
            "CPUShares": True,
            "CPUSet": True,
            "PidsLimit": True,
            "IPv4Forwarding": True,
            "Debug": config.debug,
            "NFd": len(os.listdir("/proc/self/fd")),
            "OomKillDisable": not unified,
            "NGoroutines": len(asyncio.all_tasks()),
            "SystemTime": now(),
            "LoggingDriver": config.log_driver,
            "CgroupDriver": "cgroupfs",
            "CgroupVersion": "2" if unified else "1",
            "NEventsListener": self._events.listening,
            "IndexServerAddress": "https://index.docker.io/v1/",
            "RegistryConfig": {
                "IndexConfigs": {
                    "docker.io": {
                        "Mirrors": list(registries.mirrors),
                        "Name": "docker.io",
                        "Official": True,
                        "Secure": True,
                    },
                    **{
                        host: {"Mirrors": [], "Name": host, "Official": False, "Secure": False}
                        for host in registries.insecure_hosts
                    },
                },
                "InsecureRegistryCIDRs": list(registries.networks),
                "Mirrors": list(registries.mirrors),
            },
            "GenericResources": None,
            "DockerRootDir": config.data_root,
            "HttpProxy": masked(found.get("http_proxy", "")),
            "HttpsProxy": masked(found.get("https_proxy", "")),
            "NoProxy": found.get("no_proxy", ""),
            "Name": socket.gethostname(),
            "Labels": list(config.labels),
            "ExperimentalBuild": config.experimental,
            "Runtimes": {
                **{name: {"path": "dockyard-runtime"} for name in (RUNTIME, DEFAULT_RUNTIME)},
                **{name: _runtime(each) for name, each in config.runtimes.items()},
            },
            "DefaultRuntime": config.default_runtime,
            "Swarm": {
                "NodeID": "",
                "NodeAddr": "",
                "LocalNodeState": "inactive",
                "ControlAvailable": False,
                "Error": "",
                "RemoteManagers": None,
            },
            "LiveRestoreEnabled": True,
            "Isolation": "",
            "InitBinary": config.init_path or "docker-init",
            "ContainerdCommit": {"ID": "dockyard"},
            "RuncCommit": {"ID": "dockyard"},
            "InitCommit": {"ID": "dockyard"},
            "SecurityOptions": [
                f"name=seccomp,profile={config.seccomp_profile}",
                *(["name=no-new-privileges"] if config.no_new_privileges else []),
            ],
            "Warnings": None,
            "CDISpecDirs": [],
        }


def _runtime(runtime: Runtime) -> dict[str, Any]:
    arguments = {"runtimeArgs": list(runtime.arguments)} if runtime.arguments else {}
    return {"path": runtime.path, **arguments}


def _os_name() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            for line in file:
                if line.startswith("PRETTY_NAME="):
                    return line.partition("=")[2].strip().strip('"')
    except OSError:
        pass
    return f"Linux {sys.platform}"
