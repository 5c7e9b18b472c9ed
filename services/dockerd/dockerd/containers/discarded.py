"""Limits that this kernel has not: left out with a warning in Docker's words, so that `inspect` tells what holds."""

from __future__ import annotations

from typing import Any, Final

from dockerd.linux.controllers import Abilities

_KERNEL: Final = "Your kernel does not support "
_NOT_MOUNTED: Final = " or the cgroup is not mounted. "
_DISCARDED: Final = (
    ("Memory", "memory", "memory limit capabilities", "Limitation discarded."),
    ("MemorySwappiness", "swappiness", "memory swappiness capabilities", "Memory swappiness discarded."),
    ("MemoryReservation", "reservation", "memory soft limit capabilities", "Limitation discarded."),
    ("PidsLimit", "pids", "PIDs limit capabilities", "PIDs limit discarded."),
    ("CpuShares", "cpu_shares", "CPU shares", "Shares discarded."),
    ("CpusetCpus", "cpuset", "cpuset", "Cpuset discarded."),
    ("CpusetMems", "cpuset", "cpuset", "Cpuset discarded."),
    ("BlkioWeight", "block_weight", "Block I/O weight", "Weight discarded."),
    ("BlkioWeightDevice", "block_weight", "Block I/O weight_device", "Weight-device discarded."),
    ("BlkioDeviceReadBps", "block_read_bps", "BPS Block I/O read limit", "Block I/O BPS read limit discarded."),
    ("BlkioDeviceWriteBps", "block_write_bps", "BPS Block I/O write limit", "Block I/O BPS write limit discarded."),
    ("BlkioDeviceReadIOps", "block_read_iops", "IOPS Block read limit", "Block I/O IOPS read limit discarded."),
    ("BlkioDeviceWriteIOps", "block_write_iops", "IOPS Block write limit", "Block I/O IOPS write limit discarded."),
)  # fmt: skip


def discard(host: dict[str, Any], abilities: Abilities) -> list[str]:
    """Take out of a HostConfig what would have no effect; returns warnings."""
    warnings: list[str] = []
    if host.get("MemorySwappiness") == -1:
        host["MemorySwappiness"] = None
    if host.get("Memory") and not abilities.memory:
        host["MemorySwap"] = -1
    elif host.get("Memory") and host.get("MemorySwap") != -1 and not abilities.swap:
        warnings.append(
            f"{_KERNEL}swap limit capabilities{_NOT_MOUNTED}Memory limited without swap."
        )
        host["MemorySwap"] = -1
    for field, ability, what, end in _DISCARDED:
        if host.get(field) in (None, 0, "", []) or getattr(abilities, ability):
            continue
        host[field] = None
        warning = f"{_KERNEL}{what}{_NOT_MOUNTED}{end}"
        if warning not in warnings:
            warnings.append(warning)
    if host.get("OomKillDisable") is not None and not abilities.oom_kill_disable:
        if host["OomKillDisable"]:
            warnings.append(f"{_KERNEL}OomKillDisable. OomKillDisable discarded.")
        host["OomKillDisable"] = None
    if (host.get("CpuPeriod") or host.get("CpuQuota")) and not abilities.cpu_quota:
        warnings.append(f"{_KERNEL}CPU CFS scheduler. CPU period/quota discarded.")
        host["CpuPeriod"] = host["CpuQuota"] = None
    if host.get("CpuPercent"):
        warnings.append("linux does not support CPU percent. Percent discarded.")
        host["CpuPercent"] = None
    return warnings
