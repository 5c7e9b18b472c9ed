"""Execs: created, started once, remembered until the container is gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

from dockerd.containerd_client.tasks import Exited, Tasks
from dockerd.containers import attach
from dockerd.containers.model import Container
from dockerd.containers.service import ContainerService
from dockerd.events.bus import EventBus
from dockerd.execs.records import ExecRecords
from dockerd.spec import builder
from wire.errors import Conflict, EngineError, InvalidArgument, NotFound

logger = logging.getLogger(__name__)

_LOST: Final = 137


@dataclass(slots=True, kw_only=True)
class Exec:
    """One exec; ``exit_code`` is None until it has ended."""

    exec_id: str
    container: Container
    config: dict[str, Any]
    running: bool = False
    started: bool = False
    pid: int = 0
    exit_code: int | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)


class ExecService:
    """All execs of this daemon."""

    def __init__(self, tasks: Tasks, events: EventBus, records: ExecRecords) -> None:
        self._records = records
        self._tasks = tasks
        self._events = events
        self._execs: dict[str, Exec] = {}
        self._containers: ContainerService | None = None
        self._background: set[asyncio.Task[Any]] = set()

    def connect(self, containers: ContainerService) -> None:
        """The containers that execs run in, given after both exist; brings back the execs of an earlier life."""
        self._containers = containers
        for exec_id, record in self._records.load():
            container = containers.store.find(str(record.get("container")))
            if container is None:
                self._records.forget(exec_id)
                continue
            found = Exec(
                exec_id=exec_id,
                container=container,
                config=record["config"],
                started=record["started"],
                running=record["started"] and record["exit_code"] is None,
                exit_code=record["exit_code"],
            )
            found.settled.set()
            self._execs[exec_id] = found

    def _record(self, found: Exec) -> None:
        self._records.write(
            found.exec_id,
            {
                "container": found.container.container_id,
                "config": found.config,
                "started": found.started,
                "exit_code": found.exit_code,
            },
        )

    async def reconcile(self) -> None:
        """Learn of the ends that were missed while containerd or this daemon was away."""
        for found in tuple(self._execs.values()):
            if found.running and found.settled.is_set():
                state = await self._tasks.state(found.container.container_id, found.exec_id)
                if state is None:
                    # Its container ended with it, and nobody kept its status.
                    found.running, found.exit_code = False, _LOST
                    self._record(found)
                elif state.exited is not None:
                    self.exited(found.container.container_id, found.exec_id, state.exited)
                else:
                    found.pid = state.pid

    def _service(self) -> ContainerService:
        assert self._containers is not None
        return self._containers

    def create(self, reference: str, config: dict[str, Any]) -> str:
        """A new exec; raises Conflict for a container that does not run."""
        container = self._service().store.get(reference)
        if not container.running:
            raise Conflict(f"container {container.container_id} is not running")
        if container.state["Paused"]:
            raise Conflict(
                f"Container {container.container_id} is paused, unpause the container before exec"
            )
        if not config.get("Cmd"):
            raise InvalidArgument("No exec command specified")
        exec_id = secrets.token_hex(32)
        for known in tuple(self._execs.values()):
            if self._service().store.find(known.container.container_id) is None:
                del self._execs[known.exec_id]
                self._records.forget(known.exec_id)
        self._execs[exec_id] = Exec(exec_id=exec_id, container=container, config=config)
        self._record(self._execs[exec_id])
        self._event(self._execs[exec_id], f"exec_create: {' '.join(config['Cmd'])}")
        return exec_id

    def get(self, exec_id: str) -> Exec:
        """By id; raises NotFound."""
        found = self._execs.get(exec_id)
        if found is None:
            raise NotFound(f"No such exec instance: {exec_id}")
        return found

    @staticmethod
    def check_startable(found: Exec) -> None:
        """Raises Conflict for an exec that was started, or whose container has stopped."""
        if found.started:
            raise Conflict(
                f"exec command {found.exec_id} is already running"
                if found.running
                else f"Error: Exec command {found.exec_id} has already run"
            )
        if not found.container.running:
            raise Conflict(f"container {found.container.container_id} is not running")

    def running_in(self, container_id: str) -> list[str]:
        """The ids of a container's execs that run."""
        return [
            found.exec_id
            for found in self._execs.values()
            if found.running and found.container.container_id == container_id
        ]

    async def start(
        self,
        exec_id: str,
        *,
        detach: bool,
        terminal: bool,
        message: dict[str, Any] | None,
        client: int | None,
    ) -> None:
        """Start; the client, if any, is handed to the shim first and hears of a failure there."""
        found = self.get(exec_id)
        container, config = found.container, found.config
        try:
            self.check_startable(found)
        except Conflict:
            if client is not None:
                os.close(client)
            raise
        found.started = True
        self._record(found)
        service = self._service()
        host = dict(container.host)
        privileged = bool(config.get("Privileged") or host.get("Privileged"))
        process = builder.process(
            args=list(config["Cmd"]),
            env=[
                *builder.environment(container.config, container.config.get("Hostname") or ""),
                *(config.get("Env") or []),
            ],
            cwd=config.get("WorkingDir") or container.config.get("WorkingDir") or "/",
            user=config.get("User") or container.config.get("User") or "",
            groups=host.get("GroupAdd") or [],
            terminal=terminal,
            host=host,
            rootfs=service.merged_dir(container),
            privileged=privileged,
        )
        size = config.get("ConsoleSize")
        if size:
            process["consoleSize"] = {"height": size[0], "width": size[1]}
        try:
            await self._tasks.add_exec(
                container.container_id,
                exec_id,
                process,
                stdin="attach://?once=1" if config.get("AttachStdin") else "",
                output=f"attach://?attach={service.attach_path(container.container_id)}",
                terminal=terminal,
            )
            if client is not None and message is not None:
                handed, client = client, None
                await attach.hand_over(service.attach_path(container.container_id), message, handed)
            found.running = True
            self._event(found, f"exec_start: {' '.join(config['Cmd'])}")
            found.pid = await self._tasks.start(container.container_id, exec_id)
        except EngineError as error:
            found.running = False
            text = error.message
            found.exit_code = 126
            if "executable file not found" in text or "no such file or directory" in text:
                found.exit_code = 127
            self._record(found)
            self._spawn(self._tasks.delete_exec(container.container_id, exec_id))
            if detach or message is None:
                raise InvalidArgument(f"{text}: unknown") from error
        finally:
            found.settled.set()
            if client is not None:
                os.close(client)

    def exited(self, container_id: str, exec_id: str, ended: Exited) -> None:
        """An exec has ended."""
        found = self._execs.get(exec_id)
        if found is not None:
            found.running = False
            found.exit_code = ended.status
            # Before containerd forgets it.
            self._record(found)
            self._event(found, "exec_die", {"exitCode": str(ended.status), "execID": exec_id})
        self._spawn(self._tasks.delete_exec(container_id, exec_id))

    async def settle(self, found: Exec) -> None:
        """Ask containerd how an exec stands: the event of its end may still be on its way."""
        if found.started:
            await found.settled.wait()
        if found.running:
            with contextlib.suppress(EngineError):
                state = await self._tasks.state(found.container.container_id, found.exec_id)
                if state is not None and state.exited is not None:
                    self.exited(found.container.container_id, found.exec_id, state.exited)

    async def resize(self, exec_id: str, height: int, width: int) -> None:
        """Set the size of the terminal."""
        found = self.get(exec_id)
        await self._tasks.resize(found.container.container_id, width, height, exec_id=exec_id)

    def _event(self, found: Exec, action: str, more: dict[str, str] | None = None) -> None:
        container = found.container
        attributes = {
            "image": container.image_name,
            "name": container.name,
            "execID": found.exec_id,
        }
        self._events.publish(
            "container", action, container.container_id, {**attributes, **(more or {})}
        )

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, EngineError):
            logger.error("background work failed", exc_info=error)
