"""Limits in HostConfig: Docker's checks, with its words."""

from __future__ import annotations

import os
from typing import Any, Final

from dockerd.containers.discarded import discard
from dockerd.linux.controllers import Abilities, abilities
from wire.errors import InvalidArgument

_SMALLEST_MEMORY: Final = 6 << 20
_PERIODS: Final = range(1000, 1_000_001)
_WEIGHTS: Final = range(10, 1001)
_OOM_SCORES: Final = range(-1000, 1001)
_SWAPPINESS: Final = range(-1, 101)
_ULIMITS: Final = frozenset(
    {"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime",
     "sigpending", "stack"}
)  # fmt: skip
_CPUS: Final = "/sys/devices/system/cpu/online"
_NODES: Final = "/sys/devices/system/node/online"


def validate(host: dict[str, Any], *, update: bool = False) -> list[str]:
    """Raises InvalidArgument; what the kernel has not is left out, and told in the warnings that are returned."""
    able = abilities()
    warnings = discard(host, able)
    _memory(host, update=update)
    _cpu(host, able)
    _cpuset(host, "CpusetCpus", "cpuset cpus", "CPUs", _CPUS)
    _cpuset(host, "CpusetMems", "cpuset mems", "memory nodes", _NODES)
    weight = host.get("BlkioWeight") or 0
    if weight and weight not in _WEIGHTS:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    if host.get("IOMaximumBandwidth") or host.get("IOMaximumIOps"):
        raise InvalidArgument(
            "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps"
        )
    if (host.get("ShmSize") or 0) < 0:
        raise InvalidArgument("SHM size can not be less than 0")
    score = host.get("OomScoreAdj") or 0
    if score not in _OOM_SCORES:
        raise InvalidArgument(f"Invalid value {score}, range for oom score adj is [-1000, 1000]")
    _ulimits(host)
    if host.get("OomKillDisable") and not host.get("Memory"):
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running"
            " out of resources."
        )
    return warnings


def _memory(host: dict[str, Any], *, update: bool) -> None:
    memory, swap = host.get("Memory") or 0, host.get("MemorySwap") or 0
    reservation = host.get("MemoryReservation") or 0
    if memory and memory < _SMALLEST_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise InvalidArgument(
            "Minimum memoryswap limit should be larger than memory limit, see usage"
        )
    if swap > 0 and not memory and not update:
        raise InvalidArgument(
            "You should always set the Memory limit when using Memoryswap limit, see usage"
        )
    swappiness = host.get("MemorySwappiness")
    if swappiness is not None and swappiness not in _SWAPPINESS:
        raise InvalidArgument(
            f"Invalid value: {swappiness}, valid memory swappiness range is 0-100"
        )
    if 0 < reservation < _SMALLEST_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if 0 < memory < reservation:
        raise InvalidArgument(
            "Minimum memory limit can not be less than memory reservation limit, see usage"
        )


def _cpu(host: dict[str, Any], able: Abilities) -> None:
    nano, period = host.get("NanoCpus") or 0, host.get("CpuPeriod") or 0
    quota = host.get("CpuQuota") or 0
    if nano > 0 and period > 0:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if nano > 0 and quota > 0:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if nano > 0 and not able.cpu_quota:
        raise InvalidArgument(
            "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted"
        )
    count = os.cpu_count() or 1
    if not 0 <= nano <= count * 1_000_000_000:
        raise InvalidArgument(
            f"range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available"
        )
    if period and period not in _PERIODS:
        raise InvalidArgument(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"
        )
    if 0 < quota < _PERIODS.start:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    shares = host.get("CpuShares") or 0
    if shares < 0:
        raise InvalidArgument(f"invalid CPU shares ({shares}): value must be a positive integer")
    runtime, realtime = host.get("CpuRealtimeRuntime") or 0, host.get("CpuRealtimePeriod") or 0
    if (runtime or realtime) and not able.cpu_realtime:
        raise InvalidArgument("kernel does not support CPU real-time scheduler")
    if 0 < realtime < runtime:
        raise InvalidArgument("cpu real-time runtime cannot be higher than cpu real-time period")


def _cpuset(host: dict[str, Any], key: str, name: str, things: str, path: str) -> None:
    text = host.get(key) or ""
    if not text:
        return
    try:
        wanted = _numbers(text)
    except ValueError:
        raise InvalidArgument(f"Invalid value {text} for {name}: invalid format: {text}") from None
    try:
        with open(path, encoding="ascii") as file:
            present = file.read().strip()
    except OSError:
        present = "0"
    if not wanted <= _numbers(present):
        raise InvalidArgument(
            f"Requested {things} are not available - requested {text}, available: {present}"
        )


def _numbers(text: str) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.partition("-")
        first, last = int(low), int(high if dash else low)
        if last < first or first < 0 or last > 1 << 13:
            raise ValueError(part)
        found.update(range(first, last + 1))
    return found


def _ulimits(host: dict[str, Any]) -> None:
    for each in host.get("Ulimits") or []:
        name, soft, hard = each.get("Name"), each.get("Soft", 0), each.get("Hard", 0)
        if name not in _ULIMITS:
            raise InvalidArgument(f"invalid ulimit type: {name}")
        if not isinstance(soft, int) or not isinstance(hard, int):
            raise InvalidArgument(f"invalid ulimit {name}: Soft and Hard are numbers")
        if hard != -1 and (soft == -1 or soft > hard):
            raise InvalidArgument(
                f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
            )
