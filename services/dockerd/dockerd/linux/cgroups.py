"""What the kernel tells of a container's cgroup."""

from __future__ import annotations

import os
from typing import Final

_ROOT: Final = "/sys/fs/cgroup"


def oom_kills(path: str) -> int:
    """How many processes the kernel has killed for memory in the cgroup ``path``, on v1, hybrid and v2."""
    unified = os.path.exists(f"{_ROOT}/cgroup.controllers")
    name = f"{_ROOT}{path}/memory.events" if unified else f"{_ROOT}/memory{path}/memory.oom_control"
    try:
        with open(name, encoding="ascii") as file:
            for line in file:
                key, _, value = line.partition(" ")
                if key == "oom_kill":
                    return int(value)
    except (OSError, ValueError):
        # Gone, or no memory controller: nobody can tell.
        pass
    return 0
