"""Execs: created, started once, remembered until the container is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from typing import Any, Final

from dockerd.background import Background
from dockerd.containerd_client.tasks import Exited, Tasks
from dockerd.containers import fields, handover
from dockerd.containers.attach import Attacher
from dockerd.containers.errors import IsRestarting, NotRunning
from dockerd.containers.model import Container
from dockerd.containers.rootfs import RootFilesystems
from dockerd.containers.store import ContainerStore
from dockerd.events.bus import EventBus
from dockerd.execs.errors import (
    ExecHasRun,
    ExecNotFound,
    ExecPaused,
    ExecRunning,
    InvalidEscapeKeys,
    NoExecCommand,
)
from dockerd.execs.model import Exec
from dockerd.execs.records import ExecRecords
from dockerd.spec import process
from wire.errors import Conflict, EngineError, InvalidArgument, Unavailable

_LOST: Final = 137
# While containerd comes back, however often it is killed.
_PAUSES: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0)
# Seconds. An event takes about a thousandth.
_EVENT_DELAY: Final = 0.01
_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126


class ExecService:
    """All execs of this daemon."""

    def __init__(
        self,
        *,
        store: ContainerStore,
        tasks: Tasks,
        rootfs: RootFilesystems,
        attacher: Attacher,
        events: EventBus,
        records: ExecRecords,
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._rootfs = rootfs
        self._attacher = attacher
        self._events = events
        self._records = records
        self._execs: dict[str, Exec] = {}
        self._background = Background()

    def load(self) -> None:
        """Bring back the execs of an earlier life; the containers are loaded."""
        for exec_id, record in self._records.load():
            container = self._store.find(str(record.get("container")))
            # One that was not started is unknown to the next daemon, as in Docker: its client may have seen a beginning.
            if container is None or not record["started"]:
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

    async def reconcile(self) -> None:
        """Learn of the ends that were missed while containerd or this daemon was away."""
        for found in tuple(self._execs.values()):
            if found.running and found.settled.is_set():
                await self._judge(found)

    async def _judge(self, found: Exec) -> None:
        """Ask containerd how an exec stands that was started; what nobody can tell any more counts as killed."""
        container_id = found.container.container_id
        state = await self._tasks.state(container_id, found.exec_id)
        if not found.running:
            # The event of its end came first.
            return
        if state is None:
            # Its container ended with it, or its daemon died before it had told anybody of it.
            found.running, found.exit_code = False, _LOST
            self._record(found)
        elif state.exited is not None:
            self.exited(container_id, found.exec_id, state.exited)
        elif state.running:
            found.pid = state.pid
        else:
            # Its daemon died before it could start it: nobody else will.
            found.running, found.exit_code = False, _NOT_EXECUTABLE
            self._record(found)
            self._background.begin(self._discard(container_id, found.exec_id))

    # -- verbs

    def create(self, reference: str, config: dict[str, Any]) -> str:
        """A new exec; raises NotRunning, ExecPaused, NoExecCommand."""
        fields.check_exec(config)
        if not config.get("Cmd"):
            raise NoExecCommand
        try:
            handover.detach_keys(config.get("DetachKeys") or "")
        except InvalidArgument as error:
            raise InvalidEscapeKeys(config["DetachKeys"]) from error
        container = self._store.get(reference)
        _check_container(container, reference)
        self._forget_orphans()
        exec_id = secrets.token_hex(32)
        found = Exec(exec_id=exec_id, container=container, config=config)
        self._execs[exec_id] = found
        self._record(found)
        self._event(found, f"exec_create: {' '.join(config['Cmd'])}")
        return exec_id

    def startable(self, exec_id: str, console: list[int] | None) -> Exec:
        """An exec that may be started now, with the size (rows, columns) of its terminal; raises Conflict kinds."""
        found = self._get(exec_id)
        if found.started:
            raise ExecRunning(exec_id) if found.running else ExecHasRun(exec_id)
        _check_container(found.container, found.container.container_id)
        if console:
            found.config["ConsoleSize"] = console
        return found

    async def start(
        self, found: Exec, *, message: dict[str, Any] | None, client: int | None
    ) -> None:
        """Start; the client, if any, is handed to the shim first and hears of a failure there."""
        container_id = found.container.container_id
        found.started = True
        try:
            self._record(found)
            await self._add(found)
            if client is not None and message is not None:
                handed, client = client, None
                await handover.hand_over(self._attacher.path(container_id), message, handed)
            found.running = True
            self._event(found, f"exec_start: {' '.join(found.config['Cmd'])}")
            found.pid = await self._tasks.start(container_id, found.exec_id)
        except EngineError as error:
            if isinstance(error, Unavailable) and found.running and await self._went_through(found):
                return
            found.running = False
            found.exit_code = _exit_code(error.message)
            self._record(found)
            self._background.begin(self._discard(container_id, found.exec_id))
            if message is None:
                raise InvalidArgument(error.message) from error
            if client is not None:
                refused, client = client, None
                await handover.refuse(refused, message, error.message)
        finally:
            found.settled.set()
            if client is not None:
                os.close(client)

    async def _went_through(self, found: Exec) -> bool:
        """Whether a start was carried out although containerd was killed before it could say so."""
        with contextlib.suppress(EngineError):
            await self._judge(found)
        return found.running or found.ended.is_set()

    async def _discard(self, container_id: str, exec_id: str) -> None:
        """Have the shim forget an exec, and let its client go; nobody else would ask for that again."""
        for pause in _PAUSES:
            try:
                await self._tasks.delete_exec(container_id, exec_id)
            except Unavailable:
                await asyncio.sleep(pause)
            else:
                return

    async def _add(self, found: Exec) -> None:
        container, config = found.container, found.config
        document = process.document(
            args=list(config["Cmd"]),
            env=[
                *process.environment(container.config, container.config.get("Hostname") or ""),
                *(config.get("Env") or []),
            ],
            cwd=config.get("WorkingDir") or container.config.get("WorkingDir") or "/",
            user=config.get("User") or container.config.get("User") or "",
            groups=container.host.get("GroupAdd") or [],
            terminal=found.terminal,
            host=container.host,
            rootfs=self._rootfs.path(container),
            privileged=bool(config.get("Privileged") or container.host.get("Privileged")),
        )
        size = config.get("ConsoleSize")
        if size:
            document["consoleSize"] = {"height": size[0], "width": size[1]}
        await self._tasks.add_exec(
            container.container_id,
            found.exec_id,
            document,
            stdin="attach://?once=1" if config.get("AttachStdin") else "",
            output=f"attach://?attach={self._attacher.path(container.container_id)}",
            terminal=found.terminal,
        )

    async def resize(self, exec_id: str, height: int, width: int) -> None:
        """Set the size of the terminal, in rows and columns; raises ExecNotFound, Conflict."""
        found = self._get(exec_id)
        if not found.running:
            raise Conflict(f"exec {exec_id} is not running")
        await self._tasks.resize(found.container.container_id, width, height, exec_id=exec_id)

    async def inspect(self, exec_id: str) -> dict[str, Any]:
        """GET /exec/{id}/json; raises ExecNotFound."""
        found = self._get(exec_id)
        await self._settle(found)
        return found.document()

    def running_in(self, container_id: str) -> list[str]:
        """The ids of a container's execs that run."""
        return [
            found.exec_id
            for found in self._execs.values()
            if found.running and found.container.container_id == container_id
        ]

    # -- ends

    def exited(self, container_id: str, exec_id: str, ended: Exited) -> None:
        """An exec has ended."""
        found = self._execs.get(exec_id)
        if found is not None:
            found.running = False
            found.exit_code = ended.status
            found.ended.set()
            # Before containerd forgets it.
            self._record(found)
            self._event(found, "exec_die", {"exitCode": str(ended.status), "execID": exec_id})
        self._background.begin(self._discard(container_id, exec_id))

    async def _settle(self, found: Exec) -> None:
        """Ask containerd how an exec stands: the event of its end may still be on its way."""
        if found.started:
            await found.settled.wait()
        if found.running:
            # Who has seen the stream's end asks at once, and the event is on its way: cheaper than a question.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EVENT_DELAY):
                    await found.ended.wait()
        if found.running:
            # A client asks when the stream has ended: what is not known must be an error, not a missing exit code.
            await self._judge(found)

    # -- inside

    def _get(self, exec_id: str) -> Exec:
        found = self._execs.get(exec_id)
        if found is None:
            raise ExecNotFound(exec_id)
        return found

    def _forget_orphans(self) -> None:
        for known in tuple(self._execs.values()):
            if self._store.find(known.container.container_id) is None:
                del self._execs[known.exec_id]
                self._records.forget(known.exec_id)

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

    def _event(self, found: Exec, action: str, more: dict[str, str] | None = None) -> None:
        container = found.container
        attributes = {
            **(container.config.get("Labels") or {}),
            "image": container.image_name,
            "name": container.name,
            "execID": found.exec_id,
        }
        self._events.publish(
            "container", action, container.container_id, {**attributes, **(more or {})}
        )

    async def close(self) -> None:
        """Leave the rest to the next daemon."""
        await self._background.close()


def _check_container(container: Container, reference: str) -> None:
    if container.state.restarting:
        raise IsRestarting(container.container_id)
    if not container.running:
        raise NotRunning(container.container_id)
    if container.state.paused:
        raise ExecPaused(reference)


def _exit_code(message: str) -> int:
    if "executable file not found" in message or "no such file or directory" in message:
        return _NOT_FOUND
    return _NOT_EXECUTABLE
