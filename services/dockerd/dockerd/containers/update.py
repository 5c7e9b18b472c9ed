"""`docker update`: limits and restart policy."""

from __future__ import annotations

from typing import Any, Final

from dockerd.containerd_client.tasks import Tasks
from dockerd.containers import fields, limits, restart_policy
from dockerd.containers.announce import Announcer
from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from dockerd.spec import resources
from wire.errors import Conflict, EngineError, InvalidArgument

_LIMITS: Final = frozenset(
    {"BlkioWeight", "CpuShares", "NanoCpus", "CpuPeriod", "CpuQuota", "CpuRealtimePeriod", "CpuRealtimeRuntime",
     "CpusetCpus", "CpusetMems", "Memory", "MemorySwap", "MemoryReservation", "PidsLimit"}
)  # fmt: skip
_UNLIMITED: Final = -1
_ZERO: Final[tuple[Any, ...]] = (None, 0, "", [], {}, False)


class Updater:
    """Changes containers, running or not."""

    def __init__(self, store: ContainerStore, tasks: Tasks, announcer: Announcer) -> None:
        self._store = store
        self._tasks = tasks
        self._announcer = announcer

    async def update(self, reference: str, changes: dict[str, Any]) -> list[str]:
        """``changes`` are fields of HostConfig, those that are zero stay; warnings. Raises InvalidArgument, Conflict."""
        fields.check_host(changes)
        if (pids := changes.get("PidsLimit")) is not None and pids <= 0:
            # Of all limits this one can be taken away.
            changes["PidsLimit"] = _UNLIMITED
        warnings = limits.validate(changes, update=True)
        container = self._store.get(reference)
        policy = changes.get("RestartPolicy") or {}
        wanted = {key: value for key, value in changes.items() if value not in _ZERO}
        wanted.pop("RestartPolicy", None)
        if policy.get("Name"):
            restart_policy.validate({"RestartPolicy": policy})
            wanted["RestartPolicy"] = {"MaximumRetryCount": 0, **policy}
        for key in wanted:
            if key not in _LIMITS and key != "RestartPolicy":
                raise _cannot(container, f"{key} cannot be updated")
        async with container.lock:
            await self._apply(container, wanted)
        self._announcer.say(container, "update")
        return warnings

    async def _apply(self, container: Container, wanted: dict[str, Any]) -> None:
        if container.removing:
            raise _cannot(container, 'Container is marked for removal and cannot be "update".')
        if "RestartPolicy" in wanted and container.host.get("AutoRemove"):
            raise _cannot(
                container,
                "Restart policy cannot be updated because AutoRemove is enabled for the container",
            )
        _check_together(container, wanted)
        host = {**container.host, **wanted}
        if container.running and not _LIMITS.isdisjoint(wanted):
            found = resources.limits({key: host[key] for key in _LIMITS if key in host})
            found.pop("devices")
            try:
                await self._tasks.update(container.container_id, found)
            except EngineError as error:
                raise _cannot(container, error.message) from error
        if host.get("PidsLimit") == _UNLIMITED:
            host["PidsLimit"] = None
        container.host = host
        container.save()


def _check_together(container: Container, wanted: dict[str, Any]) -> None:
    """What is changed must go together with what stays."""
    host = container.host
    memory, swap = wanted.get("Memory") or 0, host.get("MemorySwap") or 0
    if memory > swap and not wanted.get("MemorySwap"):
        raise _cannot(
            container,
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        )
    for new, old, name in (
        ("NanoCpus", "CpuQuota", "NanoCPUs cannot be updated as CPU Quota has already been set"),
        ("NanoCpus", "CpuPeriod", "NanoCPUs cannot be updated as CPU Period has already been set"),
        ("CpuQuota", "NanoCpus", "CPU Quota cannot be updated as NanoCPUs has already been set"),
        ("CpuPeriod", "NanoCpus", "CPU Period cannot be updated as NanoCPUs has already been set"),
    ):
        if wanted.get(new) and host.get(old):
            raise _cannot(container, f"Conflicting options: {name}")


def _cannot(container: Container, cause: str) -> EngineError:
    text = f"Cannot update container {container.container_id}: {cause}"
    return Conflict(text) if "Conflicting" in cause or "removal" in cause else InvalidArgument(text)
