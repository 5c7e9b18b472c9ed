"""Resource usage of a container for ``Stats``, and whether the kernel killed one of its processes for memory.

The container's cgroup directories follow from /proc/<pid>/cgroup of its process.
"""

from __future__ import annotations

import contextlib
import os

from wire.codec import UNSIGNED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from wire.codec import Message

_ROOT: Final = "/sys/fs/cgroup"


class Groups:
    """The directories of one container: by controller on v1, under ``""`` on v2."""

    __slots__ = ("paths",)

    def __init__(self, paths: dict[str, str] | None = None) -> None:
        self.paths = paths or {}

    @property
    def unified(self) -> bool:
        """Whether this is cgroup v2 alone."""
        return "memory" not in self.paths and "" in self.paths

    def read(self, controller: str, name: str) -> str:
        """A file's text; empty if there is none."""
        path = self.paths.get("" if self.unified else controller)
        if path is None:
            return ""
        try:
            with open(f"{path}/{name}", encoding="ascii", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def number(self, controller: str, name: str) -> int:
        """A file's number; 0 if there is none, the largest for ``max``."""
        text = self.read(controller, name).strip()
        if text == "max":
            return (1 << 64) - 1
        return int(text) if text.lstrip("-").isdigit() else 0

    def table(self, controller: str, name: str) -> dict[str, int]:
        """A file of ``key value`` lines."""
        found = {}
        for line in self.read(controller, name).splitlines():
            key, _, value = line.rpartition(" ")
            with contextlib.suppress(ValueError):
                found[key] = int(value)
        return found

    def processes(self) -> list[int]:
        """All processes; a process without a number in our PID namespace is left out."""
        text = self.read("devices", "cgroup.procs") or self.read("pids", "cgroup.procs")
        return [int(word) for word in text.split() if word != "0"]


def find(pid: int) -> Groups:
    """The cgroups of a living process; none for one that has ended."""
    paths: dict[str, str] = {}
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            for name in controllers.split(","):
                if name.startswith("name="):
                    continue
                directory = f"{_ROOT}/{controllers}{path}" if name else f"{_ROOT}{path}"
                if os.path.isdir(directory):
                    paths[name] = directory
                elif name and os.path.isdir(f"{_ROOT}/{name}{path}"):
                    paths[name] = f"{_ROOT}/{name}{path}"
    return Groups(paths)


def oom_kills(groups: Groups) -> int:
    """How many processes the kernel has killed for memory in the container."""
    if groups.unified:
        return groups.table("", "memory.events").get("oom_kill", 0)
    return groups.table("memory", "memory.oom_control").get("oom_kill", 0)


def metrics(groups: Groups) -> Message:
    """The metrics message of the host's cgroup version (io.containerd.cgroups)."""
    return _unified(groups) if groups.unified else _split(groups)


def _split(groups: Groups) -> Message:
    from wire.gen.containerd.cgroups.v1.metrics_msg import BlkIOEntry, Metrics

    found = Metrics()
    found.pids.current = groups.number("pids", "pids.current")
    limit = groups.number("pids", "pids.max")
    found.pids.limit = 0 if limit == (1 << 64) - 1 else limit
    found.cpu.usage.total = groups.number("cpuacct", "cpuacct.usage")
    found.cpu.usage.per_cpu.extend(
        int(word) for word in groups.read("cpuacct", "cpuacct.usage_percpu").split()
    )
    ticks = groups.table("cpuacct", "cpuacct.stat")
    nanoseconds = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    found.cpu.usage.user = ticks.get("user", 0) * nanoseconds
    found.cpu.usage.kernel = ticks.get("system", 0) * nanoseconds
    throttled = groups.table("cpu", "cpu.stat")
    found.cpu.throttling.periods = throttled.get("nr_periods", 0)
    found.cpu.throttling.throttled_periods = throttled.get("nr_throttled", 0)
    found.cpu.throttling.throttled_time = throttled.get("throttled_time", 0)
    for entry, prefix in ((found.memory.usage, "memory"), (found.memory.swap, "memory.memsw")):
        entry.usage = groups.number("memory", f"{prefix}.usage_in_bytes")
        entry.max = groups.number("memory", f"{prefix}.max_usage_in_bytes")
        entry.limit = groups.number("memory", f"{prefix}.limit_in_bytes")
        entry.failcnt = groups.number("memory", f"{prefix}.failcnt")
    _copy_numbers(found.memory, groups.table("memory", "memory.stat"))
    for line in groups.read("blkio", "blkio.throttle.io_service_bytes").splitlines():
        words = line.split()
        if len(words) == 3:
            major, _, minor = words[0].partition(":")
            found.blkio.io_service_bytes_recursive.append(
                BlkIOEntry(major=int(major), minor=int(minor), op=words[1], value=int(words[2]))
            )
    return found


def _unified(groups: Groups) -> Message:
    from wire.gen.containerd.cgroups.v2.metrics_msg import Metrics

    found = Metrics()
    found.pids.current = groups.number("", "pids.current")
    found.pids.limit = groups.number("", "pids.max")
    cpu = groups.table("", "cpu.stat")
    for key in (
        "usage_usec",
        "user_usec",
        "system_usec",
        "nr_periods",
        "nr_throttled",
        "throttled_usec",
    ):
        setattr(found.cpu, key, cpu.get(key, 0))
    found.memory.usage = groups.number("", "memory.current")
    found.memory.usage_limit = groups.number("", "memory.max")
    found.memory.swap_usage = groups.number("", "memory.swap.current")
    found.memory.swap_limit = groups.number("", "memory.swap.max")
    _copy_numbers(found.memory, groups.table("", "memory.stat"))
    return found


def _copy_numbers(message: Message, table: dict[str, int]) -> None:
    """Set the fields that the kernel's table names as we do."""
    for name, kind, _, _ in message.FIELDS.values():
        if kind == UNSIGNED and name in table:
            setattr(message, name, table[name])
