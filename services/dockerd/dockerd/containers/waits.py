"""Pending `wait` calls, answered on the bare connection, so that the next daemon can finish what this one began."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import Any, Final

from dockerd.containers.service import ContainerService
from dockerd.fdstore import FdStore
from wire.errors import EngineError

PREFIX: Final = "wait-"


class Waits:
    """Each wait holds a descriptor of its client's connection, and leaves a copy with the supervisor."""

    def __init__(self, containers: ContainerService, store: FdStore) -> None:
        self._containers = containers
        self._store = store
        self._tasks: set[asyncio.Task[Any]] = set()
        self._count = 0

    def begin(self, container_id: str, condition: str, descriptor: int) -> None:
        """The head of the answer is sent; the rest follows when the condition holds."""
        self._count += 1
        name = f"{PREFIX}{container_id}.{condition}.{os.getpid()}x{self._count}"
        self._store.keep(name, descriptor)
        self._run(container_id, condition, descriptor, name)

    def resume(self, name: str, descriptor: int) -> None:
        """A wait of the daemon before us."""
        container_id, _, rest = name.removeprefix(PREFIX).partition(".")
        self._run(container_id, rest.partition(".")[0], descriptor, name)

    def _run(self, container_id: str, condition: str, descriptor: int, name: str) -> None:
        task = asyncio.get_running_loop().create_task(
            self._finish(container_id, condition, descriptor, name)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, container_id: str, condition: str, descriptor: int, name: str) -> None:
        try:
            answer: dict[str, Any]
            container = self._containers.store.find(container_id)
            try:
                if container is None:
                    # It was removed while nobody looked: that is what was waited for.
                    answer = {"StatusCode": 0}
                elif (
                    condition == "next-exit"
                    and container.state["Status"] == "exited"
                    and ".resumed" in name
                ):
                    answer = {"StatusCode": container.state["ExitCode"]}
                else:
                    answer = {"StatusCode": await self._containers.wait(container_id, condition)}
            except EngineError as error:
                answer = {"StatusCode": -1, "Error": {"Message": error.message}}
            body = json.dumps(answer).encode() + b"\n"
            with contextlib.suppress(OSError):
                os.write(descriptor, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            self._store.drop(name)
        finally:
            os.close(descriptor)

    async def close(self) -> None:
        """Stop waiting; the copies with the supervisor keep the clients waiting."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
