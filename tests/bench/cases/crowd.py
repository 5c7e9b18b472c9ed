"""Thirty containers at once: how long they take and what they weigh."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from tests.bench.engines import Engine
from tests.bench.figures import Case, Figure, Sample, seconds
from tests.bench.memory import by_role

_CROWD: Final = 30
_SETTLE: Final = 1.0
# 60 MB.
_BOUNDS: Final = {"containerd": 57.2}
_ROLES: Final = (
    "dockerd",
    "containerd",
    "supervisor",
    "forkserver",
    "shims",
    "docker-proxy",
)


def _crowd(engine: Engine) -> Sample:
    time.sleep(_SETTLE)  # what earlier containers needed is given back a moment later
    idle = by_role(engine)
    containers: list[str] = []
    with ThreadPoolExecutor(_CROWD) as pool:
        os.sync()  # earlier dirty pages are not this case's to write
        started = seconds(
            lambda: containers.extend(pool.map(lambda _: engine.launch(), range(_CROWD)))
        )
        time.sleep(_SETTLE)
        busy = by_role(engine)
        os.sync()
        removed = seconds(lambda: list(pool.map(engine.remove, containers)))
    out = {
        "crowd_start": started,
        "crowd_remove": removed,
        "memory_idle": sum(idle.values()),
        "memory_each": (sum(busy.values()) - sum(idle.values())) / _CROWD,
        "memory_busy": sum(busy.values()),
    }
    out |= {f"idle_{role}": idle[role] for role in _ROLES if role in idle}
    return out | {f"busy_{role}": busy[role] for role in _ROLES if role in busy}


CROWD: Final = Case(
    "crowd",
    (
        Figure("crowd_start", "30 containers created and started side by side", "s", limit=0.7),
        Figure("crowd_remove", "their forced removal, side by side", "s"),
        Figure("memory_each", "PSS that each of 30 idle containers adds", "MiB", limit=0.7),
        Figure("memory_idle", "PSS of all daemons, no container", "MiB", limit=1.3),
        *(
            Figure(f"idle_{role}", f"… of which {role}", "MiB", bound=_BOUNDS.get(role))
            for role in _ROLES
        ),
        Figure("memory_busy", "PSS of all daemons and shims, 30 idle containers", "MiB"),
        *(Figure(f"busy_{role}", f"… of which {role}", "MiB") for role in _ROLES),
    ),
    _crowd,
    heavy=True,
)
