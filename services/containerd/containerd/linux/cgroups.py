"""A cgroup in every hierarchy of this machine, for processes that must outlive the cgroup of whoever started them."""

from __future__ import annotations

import contextlib
import os
from typing import Final

_MOUNTINFO: Final = "/proc/self/mountinfo"
_CPUSET_FILES: Final = ("cpuset.cpus", "cpuset.mems")


def ensure(name: str) -> list[str]:
    """Make the cgroup ``name`` (from the root, with ``/``) where it is missing; its `cgroup.procs` in every hierarchy.

    Raises OSError where a hierarchy cannot be written.
    """
    files = []
    for hierarchy in _hierarchies():
        path = f"{hierarchy}/{name.strip('/')}"
        os.makedirs(path, mode=0o755, exist_ok=True)
        _inherit_cpuset(path)
        files.append(f"{path}/cgroup.procs")
    return files


def move(pid: int, files: list[str]) -> None:
    """Move a process into the cgroup that ``ensure`` made; a process that has ended is no error."""
    with contextlib.suppress(ProcessLookupError):
        for path in files:
            with open(path, "w", encoding="ascii") as file:
                file.write(str(pid))


def _hierarchies() -> list[str]:
    """Mount points of whole hierarchies, v1 and v2, each once."""
    found: dict[str, str] = {}
    with open(_MOUNTINFO, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            mount, _, source = line.partition(" - ")
            if source.split()[0] in ("cgroup", "cgroup2"):
                _, _, device, root, path = mount.split()[:5]
                if root == "/":
                    found.setdefault(device, path)
    return list(found.values())


def _inherit_cpuset(path: str) -> None:
    """v1's cpuset takes no process before it has CPUs and memory nodes."""
    for name in _CPUSET_FILES:
        own = f"{path}/{name}"
        if not os.path.exists(own) or os.path.exists(f"{path}/cgroup.controllers"):
            continue
        with open(own, "r+", encoding="ascii") as file:
            if not file.read().strip():
                with open(f"{os.path.dirname(path)}/{name}", encoding="ascii") as parent:
                    value = parent.read()
                file.seek(0)
                file.write(value)
