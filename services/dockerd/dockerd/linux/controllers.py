"""What of containers this kernel can limit, told by its cgroup controllers."""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import Final

_ROOT: Final = "/sys/fs/cgroup"
_REAL_TIME: Final = ("cpu/cpu.rt_runtime_us", "cpu,cpuacct/cpu.rt_runtime_us")


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """Which limits take effect."""

    memory: bool
    swap: bool
    reservation: bool
    swappiness: bool
    oom_kill_disable: bool
    cpu_shares: bool
    cpu_quota: bool
    cpu_realtime: bool
    cpuset: bool
    pids: bool
    block_weight: bool
    block_read_bps: bool
    block_write_bps: bool
    block_read_iops: bool
    block_write_iops: bool


@functools.cache
def abilities(root: str = _ROOT) -> Abilities:
    """Of this host, which does not change while the daemon runs."""
    if os.path.exists(f"{root}/cgroup.controllers"):
        return _unified(root)
    return _legacy(root)


def _unified(root: str) -> Abilities:
    with open(f"{root}/cgroup.controllers", encoding="ascii") as file:
        found = frozenset(file.read().split())
    memory, cpu, block = "memory" in found, "cpu" in found, "io" in found
    return Abilities(
        memory=memory,
        swap=memory and os.path.exists("/proc/swaps"),
        reservation=memory,
        # The unified hierarchy has neither.
        swappiness=False,
        oom_kill_disable=False,
        cpu_shares=cpu,
        cpu_quota=cpu,
        cpu_realtime=False,
        cpuset="cpuset" in found,
        pids="pids" in found,
        block_weight=block,
        block_read_bps=block,
        block_write_bps=block,
        block_read_iops=block,
        block_write_iops=block,
    )


def _legacy(root: str) -> Abilities:
    def has(*names: str) -> bool:
        return any(os.path.exists(f"{root}/{name}") for name in names)

    return Abilities(
        memory=has("memory/memory.limit_in_bytes"),
        swap=has("memory/memory.memsw.limit_in_bytes"),
        reservation=has("memory/memory.soft_limit_in_bytes"),
        swappiness=has("memory/memory.swappiness"),
        oom_kill_disable=has("memory/memory.oom_control"),
        cpu_shares=has("cpu/cpu.shares"),
        cpu_quota=has("cpu/cpu.cfs_quota_us"),
        cpu_realtime=has(*_REAL_TIME),
        cpuset=has("cpuset/cpuset.cpus"),
        pids=has("pids"),
        # The root has no weight of BFQ's, but everything below it has.
        block_weight=has(
            "blkio/blkio.weight", "blkio/blkio.bfq.weight", "blkio/blkio.bfq.io_serviced"
        ),
        block_read_bps=has("blkio/blkio.throttle.read_bps_device"),
        block_write_bps=has("blkio/blkio.throttle.write_bps_device"),
        block_read_iops=has("blkio/blkio.throttle.read_iops_device"),
        block_write_iops=has("blkio/blkio.throttle.write_iops_device"),
    )
