"""What a create request may ask for: checked, completed, and refused by name where it is not built."""

from __future__ import annotations

import re
from typing import Any, Final

from dockerd.containerd_client.tasks import RUNTIME
from wire.errors import InvalidArgument

NAME: Final = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_SMALLEST_MEMORY: Final = 6 << 20
_LOG_OPTIONS: Final = frozenset({"max-size", "max-file"})
_SIZES: Final = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_RESTARTS: Final = frozenset({"", "no", "always", "unless-stopped", "on-failure"})
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


def size(text: str) -> int:
    """``10m`` in bytes; raises InvalidArgument."""
    found = re.fullmatch(r"(\d+)([bkmg]?)b?", text.strip().lower())
    if not found:
        raise InvalidArgument(f'invalid size: "{text}"')
    return int(found[1]) * _SIZES[found[2]]


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
    policy = host.get("RestartPolicy") or {}
    name = policy.get("Name") or ""
    if name not in _RESTARTS:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if policy.get("MaximumRetryCount") and name != "on-failure":
        raise InvalidArgument(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        )
    if host.get("AutoRemove") and name not in {"", "no"}:
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")
    _validate_log(host)
    runtime = host.get("Runtime") or ""
    if runtime not in {"", "runc", RUNTIME} and runtime not in runtimes:
        raise InvalidArgument(f"unknown or invalid runtime name: {runtime}")
    for option in host.get("SecurityOpt") or []:
        if option not in {
            "seccomp=unconfined", "seccomp:unconfined", "no-new-privileges", "no-new-privileges=true", "no-new-privileges:true",
            "no-new-privileges=false", "no-new-privileges:false", "apparmor=unconfined", "label=disable",
        }:  # fmt: skip
            raise InvalidArgument(f"invalid --security-opt: {option!r} is not supported yet")


def _validate_log(host: dict[str, Any]) -> None:
    log = host.get("LogConfig") or {}
    driver = log.get("Type") or "json-file"
    if driver not in {"json-file", "none"}:
        raise InvalidArgument(f"logger: no log driver named '{driver}' is registered")
    options = log.get("Config") or {}
    for key in options:
        if key not in _LOG_OPTIONS:
            raise InvalidArgument(f"unknown log opt '{key}' for {driver} log driver")
    if "max-size" in options:
        size(options["max-size"])
    if "max-file" in options:
        if not str(options["max-file"]).isdigit() or int(options["max-file"]) < 1:
            raise InvalidArgument("max-file cannot be less than 1")
        if int(options["max-file"]) > 1 and "max-size" not in options:
            raise InvalidArgument("max-file cannot be used without max-size")


def network_mode(host: dict[str, Any]) -> str:
    """The NetworkMode; ``bridge`` where none is given."""
    mode = host.get("NetworkMode") or "default"
    return "bridge" if mode == "default" else str(mode)
