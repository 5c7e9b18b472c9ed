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
from dockerd.config import DEFAULT_RUNTIME, SECCOMP_BUILTIN, Config, LiveConfig, Runtime
from dockerd.containerd_client.client import Containerd
from dockerd.containerd_client.tasks import RUNTIME
from dockerd.containers.model import now
from dockerd.containers.store import ContainerStore
from dockerd.events.bus import EventBus
from dockerd.images.registries import RegistryHosts
from dockerd.images.store import ImageStore
from dockerd.linux import cgroups
from dockerd.linux.controllers import Abilities, abilities
from dockerd.logdrivers.options import DRIVERS
from dockerd.spec import security
from dockerd.system.programs import Programs, Version
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
        *,
        runtime: str,
        init: str,
    ) -> None:
        """``volume_drivers`` names the drivers that can be had; ``runtime`` and ``init`` are paths of our own programs."""
        self._config = config
        self._containerd = containerd
        self._id = daemon_id
        self._containers = containers
        self._images = images
        self._registries = registries
        self._events = events
        self._volume_drivers = volume_drivers
        self._runtime = runtime
        self._init = init
        self._programs = Programs()

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
        """What the engine works with; without what does not tell."""
        name = self._config.current.default_runtime
        found = {
            "containerd": await self._containerd_version(),
            name: await self._programs.version(self._runtime_path(name)),
            "docker-init": await self._programs.version(self._init),
        }
        return [
            {"Name": name, "Version": each.version, "Details": {"GitCommit": each.commit}}
            for name, each in found.items()
            if each is not None
        ]

    async def _containerd_version(self) -> Version | None:
        """None while it is away."""
        try:
            found = await self._containerd.call(
                "version.v1.Version", "Version", Empty(), version_pb2.VersionResponse, wait=False
            )
        except EngineError:
            return None
        return Version(version=found.version, commit=found.revision)

    def _runtime_path(self, name: str) -> str:
        known = self._config.current.runtimes.get(name)
        return known.path if known is not None else self._runtime

    async def _runtimes(self) -> dict[str, dict[str, Any]]:
        config = self._config.current
        ours = {"path": os.path.basename(self._runtime)}
        found = {
            **dict.fromkeys((RUNTIME, DEFAULT_RUNTIME), ours),
            **{name: _runtime(each) for name, each in config.runtimes.items()},
        }
        return {
            name: {**each, **await self._status(self._runtime_path(name))}
            for name, each in found.items()
        }

    async def _status(self, path: str) -> dict[str, Any]:
        status = await self._programs.status(path)
        return {"status": status} if status else {}

    async def _commits(self) -> dict[str, Any]:
        """What was built of which state; where that is not known, the version."""
        found = {
            "ContainerdCommit": await self._containerd_version(),
            "RuncCommit": await self._programs.version(
                self._runtime_path(self._config.current.default_runtime)
            ),
            "InitCommit": await self._programs.version(self._init),
        }
        return {
            key: {"ID": each.revision if each is not None else "N/A"} for key, each in found.items()
        }

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
            "OperatingSystem": _os_release("PRETTY_NAME") or f"Linux {sys.platform}",
            "OSVersion": _os_release("VERSION_ID"),
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
        unified, able = cgroups.unified(), abilities()
        forwarding = _forwarding()
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
            "MemoryLimit": able.memory,
            "SwapLimit": able.swap,
            "CpuCfsPeriod": able.cpu_quota,
            "CpuCfsQuota": able.cpu_quota,
            "CPUShares": able.cpu_shares,
            "CPUSet": able.cpuset,
            "PidsLimit": able.pids,
            "IPv4Forwarding": forwarding,
            "Debug": config.debug,
            "NFd": len(os.listdir("/proc/self/fd")),
            "OomKillDisable": able.oom_kill_disable,
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
            "Runtimes": await self._runtimes(),
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
            **await self._commits(),
            "SecurityOptions": _security(config, unified=unified),
            "Warnings": _warnings(config, able, unified=unified, forwarding=forwarding) or None,
            "CDISpecDirs": [],
            **(
                {"DefaultAddressPools": [_pool(*each) for each in config.address_pools]}
                if config.address_pools
                else {}
            ),
            "FirewallBackend": {"Driver": "nftables"},
            "DiscoveredDevices": [],
            "Containerd": {
                "Address": config.containerd,
                "Namespaces": {
                    "Containers": config.containerd_namespace,
                    "Plugins": f"plugins.{config.containerd_namespace}",
                },
            },
        }


def _runtime(runtime: Runtime) -> dict[str, Any]:
    arguments = {"runtimeArgs": list(runtime.arguments)} if runtime.arguments else {}
    return {"path": runtime.path, **arguments}


def _pool(base: str, size: int) -> dict[str, Any]:
    return {"Base": base, "Size": size}


def _security(config: Config, *, unified: bool) -> list[str]:
    private = (config.cgroupns_mode or ("private" if unified else "host")) == "private"
    return [
        *(["name=apparmor"] if security.apparmor_enabled() else []),
        f"name=seccomp,profile={config.seccomp_profile}",
        *(["name=cgroupns"] if private else []),
        *(["name=no-new-privileges"] if config.no_new_privileges else []),
    ]


def _warnings(config: Config, able: Abilities, *, unified: bool, forwarding: bool) -> list[str]:
    """What does not work on this host, and how the API can be reached, in Docker's words."""
    found = [
        (able.memory, "No memory limit support"),
        (able.swap, "No swap limit support"),
        (able.oom_kill_disable or unified, "No oom kill disable support"),
        (able.cpu_quota, "No cpu cfs quota support"),
        (able.cpu_quota, "No cpu cfs period support"),
        (able.cpu_shares, "No cpu shares support"),
        (able.cpuset, "No cpuset support"),
        (able.block_weight or not unified, "No io.weight support"),
    ]
    names = {
        "block_read_bps": ("io.max (rbps)", "blkio throttle.read_bps_device"),
        "block_write_bps": ("io.max (wbps)", "blkio throttle.write_bps_device"),
        "block_read_iops": ("io.max (riops)", "blkio throttle.read_iops_device"),
        "block_write_iops": ("io.max (wiops)", "blkio throttle.write_iops_device"),
    }
    for ability, (new, old) in names.items():
        found.append((getattr(able, ability), f"No {new if unified else old} support"))
    found += [
        (forwarding, "IPv4 forwarding is disabled"),
        (
            config.seccomp_profile == SECCOMP_BUILTIN,
            "daemon is not using the default seccomp profile",
        ),
    ]
    return [f"WARNING: {words}" for works, words in found if not works]


def _forwarding() -> bool:
    try:
        with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as file:
            return file.read().strip() == "1"
    except OSError:
        return False


def _os_release(key: str) -> str:
    """A field of the host's os-release; empty if it has none."""
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            for line in file:
                if line.startswith(f"{key}="):
                    return line.partition("=")[2].strip().strip("\"'")
    except OSError:
        pass
    return ""
