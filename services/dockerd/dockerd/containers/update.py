"""`docker update`: limits and restart policy."""

from __future__ import annotations

from typing import Any

from dockerd.containerd_client.tasks import Tasks
from dockerd.containers import hostconfig
from dockerd.containers.announce import Announcer
from dockerd.containers.store import ContainerStore
from dockerd.spec import resources


class Updater:
    """Changes containers, running or not."""

    def __init__(
        self,
        store: ContainerStore,
        tasks: Tasks,
        announcer: Announcer,
        runtimes: dict[str, str],
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._announcer = announcer
        self._runtimes = runtimes

    async def update(self, reference: str, changes: dict[str, Any]) -> None:
        """``changes`` are fields of HostConfig; raises InvalidArgument."""
        container = self._store.get(reference)
        host = {**container.host, **changes}
        hostconfig.validate(container.config, host, self._runtimes)
        async with container.lock:
            limits = {key: value for key, value in changes.items() if key != "RestartPolicy"}
            if container.running and any(limits.values()):
                wanted = resources.limits(host)
                wanted.pop("devices")
                await self._tasks.update(container.container_id, wanted)
            container.host = host
            container.save()
        self._announcer.say(container, "update")
