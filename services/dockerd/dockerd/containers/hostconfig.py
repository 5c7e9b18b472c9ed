"""What a create request may ask for: checked, completed, and refused by name where it is not built."""

from __future__ import annotations

from typing import Any, Final

from dockerd.containerd_client.tasks import RUNTIME
from dockerd.containers import log_config, restart_policy
from dockerd.spec import security
from wire.errors import InvalidArgument

_SMALLEST_MEMORY: Final = 6 << 20
# Options that would change what a container may do or see: ignoring one would be a lie.
_NOT_BUILT: Final = (
    "CgroupnsMode", "UsernsMode", "VolumesFrom", "VolumeDriver", "Links", "DeviceRequests", "StorageOpt", "Isolation",
    "DeviceCgroupRules", "BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps", "CpuRealtimePeriod", "CpuRealtimeRuntime", "Cgroup", "MaskedPaths", "ReadonlyPaths",
)  # fmt: skip
_HARMLESS: Final[dict[str, tuple[str, ...]]] = {
    "CgroupnsMode": ("", "host"),
    "UsernsMode": ("", "host"),
    "Isolation": ("", "default"),
}


def validate(config: dict[str, Any], host: dict[str, Any], runtimes: dict[str, str]) -> None:
    """Raises InvalidArgument with the option's name."""
    for name in _NOT_BUILT:
        if host.get(name) and host[name] not in _HARMLESS.get(name, ()):
            raise InvalidArgument(f"HostConfig.{name} is not supported yet")
    if config.get("Healthcheck") and (config["Healthcheck"].get("Test") or ["NONE"])[0] != "NONE":
        raise InvalidArgument("Config.Healthcheck is not supported yet")
    for key in ("PidMode", "IpcMode", "UTSMode"):
        mode = host.get(key) or ""
        if mode not in {"", "host", "private", "shareable"} and not mode.startswith("container:"):
            raise InvalidArgument(f"invalid {key}: {mode}")
        if mode.startswith("container:"):
            raise InvalidArgument(f"HostConfig.{key} {mode!r} is not supported yet")
    memory = host.get("Memory") or 0
    if memory and memory < _SMALLEST_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    swap = host.get("MemorySwap") or 0
    if swap > 0 and memory and swap < memory:
        raise InvalidArgument(
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        )
    if swap > 0 and not memory:
        raise InvalidArgument(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    if (host.get("NanoCpus") or 0) and (host.get("CpuQuota") or host.get("CpuPeriod")):
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set.")
    restart_policy.validate(host)
    log_config.validate(host)
    runtime = host.get("Runtime") or ""
    if runtime not in {"", "runc", RUNTIME} and runtime not in runtimes:
        raise InvalidArgument(f"unknown or invalid runtime name: {runtime}")
    security.validate(host)


def network_mode(host: dict[str, Any]) -> str:
    """The NetworkMode; ``bridge`` where none is given."""
    mode = host.get("NetworkMode") or "default"
    return "bridge" if mode == "default" else str(mode)
