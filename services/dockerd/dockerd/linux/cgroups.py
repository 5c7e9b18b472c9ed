"""What the kernel tells of a container's cgroup, on v1, hybrid and v2."""

from __future__ import annotations

import os
from typing import Any, Final

_ROOT: Final = "/sys/fs/cgroup"
_MICROSECOND: Final = 1000
_NANOSECONDS: Final = 1_000_000_000
BLOCK_FIGURES: Final = (
    "io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive",
    "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive", "sectors_recursive",
)  # fmt: skip
_OPERATIONS: Final = {"rbytes": "read", "wbytes": "write"}


def unified() -> bool:
    """Whether this host has cgroup v2 alone."""
    return os.path.exists(f"{_ROOT}/cgroup.controllers")


def oom_kills(path: str) -> int:
    """How many processes the kernel has killed for memory in the cgroup ``path``."""
    name = (
        f"{_ROOT}{path}/memory.events" if unified() else f"{_ROOT}/memory{path}/memory.oom_control"
    )
    return _pairs(name).get("oom_kill", 0)


def usage(path: str) -> dict[str, Any]:
    """What the cgroup ``path`` has used: cpu, memory, pids, blkio in Docker's JSON, and the system's CPU time in ns."""
    figures = _unified(path) if unified() else _legacy(path)
    return {**figures, "system": _system()}


def _unified(path: str) -> dict[str, Any]:
    directory = f"{_ROOT}{path}"
    cpu, memory = _pairs(f"{directory}/cpu.stat"), _pairs(f"{directory}/memory.stat")
    return {
        "cpu": _cpu(
            [cpu.get(key, 0) * _MICROSECOND for key in ("usage_usec", "system_usec", "user_usec")],
            [cpu.get(key, 0) for key in ("nr_periods", "nr_throttled")],
            cpu.get("throttled_usec", 0) * _MICROSECOND,
        ),
        "memory": {
            "usage": _number(f"{directory}/memory.current"),
            "limit": min(_number(f"{directory}/memory.max") or _total(), _total()),
            "stats": memory,
        },
        "pids": _pids(f"{directory}/pids"),
        "blkio": _all_io({"io_service_bytes_recursive": _unified_io(f"{directory}/io.stat")}),
    }


def _legacy(path: str) -> dict[str, Any]:
    usage_ns = _number(f"{_ROOT}/cpuacct{path}/cpuacct.usage")
    each_cpu = next(iter(_lines(f"{_ROOT}/cpuacct{path}/cpuacct.usage_percpu")), "")
    ticks = _pairs(f"{_ROOT}/cpuacct{path}/cpuacct.stat")
    tick = _NANOSECONDS // os.sysconf("SC_CLK_TCK")
    throttled = _pairs(f"{_ROOT}/cpu{path}/cpu.stat")
    memory = f"{_ROOT}/memory{path}"
    return {
        "cpu": _cpu(
            [usage_ns, ticks.get("system", 0) * tick, ticks.get("user", 0) * tick],
            [throttled.get(key, 0) for key in ("nr_periods", "nr_throttled")],
            throttled.get("throttled_time", 0),
            [int(word) for word in each_cpu.split()],
        ),
        "memory": {
            "usage": _number(f"{memory}/memory.usage_in_bytes"),
            "max_usage": _number(f"{memory}/memory.max_usage_in_bytes"),
            "failcnt": _number(f"{memory}/memory.failcnt"),
            "limit": min(_number(f"{memory}/memory.limit_in_bytes") or _total(), _total()),
            "stats": _pairs(f"{memory}/memory.stat"),
        },
        "pids": _pids(f"{_ROOT}/pids{path}/pids"),
        "blkio": _all_io(
            {
                key: _legacy_io(f"{_ROOT}/blkio{path}/blkio.throttle.{key}")
                for key in ("io_service_bytes_recursive", "io_serviced_recursive")
            },
            # Lists on this version, although newer kernels count nothing of it.
            missing=[],
        ),
    }


def _cpu(
    times: list[int], periods: list[int], throttled: int, each: list[int] | None = None
) -> dict[str, Any]:
    """``each`` is the usage of each CPU, which only cgroup v1 tells."""
    total, kernel, user = times
    return {
        "cpu_usage": {
            "total_usage": total,
            **({"percpu_usage": each} if each else {}),
            "usage_in_kernelmode": kernel,
            "usage_in_usermode": user,
        },
        "throttling_data": {
            "periods": periods[0],
            "throttled_periods": periods[1],
            "throttled_time": throttled,
        },
    }


def _pids(prefix: str) -> dict[str, int]:
    found = {"current": _number(f"{prefix}.current")}
    if limit := _number(f"{prefix}.max"):
        found["limit"] = limit
    return found


def _all_io(
    told: dict[str, list[dict[str, Any]]], missing: list[dict[str, Any]] | None = None
) -> dict[str, list[dict[str, Any]] | None]:
    return {key: told.get(key, missing) for key in BLOCK_FIGURES}


def _unified_io(path: str) -> list[dict[str, Any]]:
    found = []
    for line in _lines(path):
        device, *figures = line.split()
        major, _, minor = device.partition(":")
        for figure in figures:
            key, _, value = figure.partition("=")
            if key in _OPERATIONS:
                found.append(_io(major, minor, _OPERATIONS[key], value))
    return found


def _legacy_io(path: str) -> list[dict[str, Any]]:
    found = []
    for line in _lines(path):
        words = line.split()
        if len(words) == 3:
            major, _, minor = words[0].partition(":")
            found.append(_io(major, minor, words[1].lower(), words[2]))
    return found


def _io(major: str, minor: str, operation: str, value: str) -> dict[str, Any]:
    return {"major": int(major), "minor": int(minor), "op": operation, "value": int(value)}


def _system() -> int:
    """The CPU time of the whole host, idle time included, in nanoseconds."""
    line = next(iter(_lines("/proc/stat")), "cpu")
    ticks = sum(int(word) for word in line.split()[1:9])
    return ticks * _NANOSECONDS // os.sysconf("SC_CLK_TCK")


def _total() -> int:
    line = next(iter(_lines("/proc/meminfo")), "MemTotal: 0 kB")
    return int(line.split()[1]) * 1024


def _pairs(path: str) -> dict[str, int]:
    found = {}
    for line in _lines(path):
        key, _, value = line.partition(" ")
        if value.strip().isdigit():
            found[key] = int(value)
    return found


def _number(path: str) -> int:
    """The number in a file; 0 for ``max``, and where there is no such file."""
    text = next(iter(_lines(path)), "")
    return int(text) if text.isdigit() else 0


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        # Gone, or no such controller: nobody can tell.
        return []
