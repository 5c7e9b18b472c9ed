"""`docker stats`: figures read from the container's cgroup and its network namespace."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any, Final

from dockerd.containers.model import Container, now
from dockerd.containers.state import NEVER
from dockerd.containers.store import ContainerStore
from dockerd.linux import cgroups
from dockerd.spec.resources import cgroup_path

_PERIOD: Final = 1.0
_DEVICE: Final = {
    "rx_bytes": 0, "rx_packets": 1, "rx_errors": 2, "rx_dropped": 3,
    "tx_bytes": 8, "tx_packets": 9, "tx_errors": 10, "tx_dropped": 11,
}  # fmt: skip
_NOTHING: Final = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}


class StatsReader:
    """Measures containers."""

    def __init__(self, store: ContainerStore) -> None:
        self._store = store

    def stream(
        self, reference: str, *, follow: bool, one_shot: bool
    ) -> AsyncIterator[dict[str, Any]]:
        """One object a second, or one object alone; with ``one_shot`` without the sample before. Raises NotFound."""
        container = self._store.get(reference)
        return self._samples(container, follow=follow, one_shot=one_shot)

    async def _samples(
        self, container: Container, *, follow: bool, one_shot: bool
    ) -> AsyncIterator[dict[str, Any]]:
        before = None if one_shot else await self._measure(container)
        if follow:
            yield _document(container, before, None)
        while True:
            if not one_shot and (follow or container.running):
                await asyncio.sleep(_PERIOD)
            if self._store.find(container.container_id) is None:
                return
            sample = await self._measure(container)
            yield _document(container, sample, before)
            if not follow:
                return
            before = sample

    async def _measure(self, container: Container) -> dict[str, Any] | None:
        if not container.running:
            return None
        path = cgroup_path(container.container_id, container.host)
        return await asyncio.to_thread(_sample, path, container.state.pid)


def _sample(path: str, pid: int) -> dict[str, Any]:
    return {"read": now(), **cgroups.usage(path), "networks": _networks(pid)}


def _networks(pid: int) -> dict[str, dict[str, int]]:
    """By interface; read below /proc, where nothing of the container is executed."""
    found = {}
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii", errors="replace") as file:
            lines = file.readlines()[2:]
    except OSError:
        return {}
    for line in lines:
        name, _, figures = line.partition(":")
        numbers = figures.split()
        if name.strip() != "lo" and len(numbers) >= max(_DEVICE.values()) + 1:
            found[name.strip()] = {key: int(numbers[at]) for key, at in _DEVICE.items()}
    return found


def _document(
    container: Container, sample: dict[str, Any] | None, before: dict[str, Any] | None
) -> dict[str, Any]:
    """Docker's JSON; a container that does not run has zeroes."""
    found: dict[str, Any] = {
        "name": f"/{container.name}",
        "id": container.container_id,
        "read": sample["read"] if sample else NEVER,
        "preread": before["read"] if before else NEVER,
        "num_procs": 0,
        "storage_stats": {},
        "pids_stats": sample["pids"] if sample else {},
        "blkio_stats": sample["blkio"] if sample else dict.fromkeys(cgroups.BLOCK_FIGURES),
        "cpu_stats": _cpu(sample),
        "precpu_stats": _cpu(before),
        "memory_stats": sample["memory"] if sample else {},
    }  # fmt: skip
    if sample and container.host.get("NetworkMode") not in {"host", "none"}:
        found["networks"] = sample["networks"]
    return found


def _cpu(sample: dict[str, Any] | None) -> dict[str, Any]:
    if sample is None:
        return dict(_NOTHING)
    return {**sample["cpu"], "system_cpu_usage": sample["system"], "online_cpus": os.cpu_count()}
