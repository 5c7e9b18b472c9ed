"""`docker start`: mount and network side by side, the spec, the task, and everything undone when one of them fails."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

from dockerd.containerd_client.tasks import Tasks
from dockerd.containers import endpoint_request, joined, mount_table, network_files, shm, wait
from dockerd.containers.announce import Announcer
from dockerd.containers.attach import Attacher
from dockerd.containers.copy_up import copy_up
from dockerd.containers.errors import AlreadyStarted, StartPaused, StartRemoved
from dockerd.containers.health import HealthMonitor
from dockerd.containers.log_config import output_uri
from dockerd.containers.model import Container, now
from dockerd.containers.remove import Remover
from dockerd.containers.rootfs import RootFilesystems
from dockerd.containers.runtime_spec import SpecWriter
from dockerd.containers.runtimes import Runtimes
from dockerd.containers.state import Change
from dockerd.containers.store import ContainerStore
from dockerd.containers.teardown import Teardown
from dockerd.containers.volume_use import VolumeUse
from dockerd.networks.controller import NetworkController
from dockerd.networks.model import Attachment
from dockerd.volumes.catalog import Catalog
from wire import tracing
from wire.errors import EngineError, Internal, InvalidArgument
from wire.status import error_for

_NOT_FOUND: Final = 127
_NOT_EXECUTABLE: Final = 126
_OTHER: Final = 128
_TASK: Final = "failed to create task for container: "
_FAILED: Final = f"{_TASK}failed to create shim task: "
_LOGGING: Final = "failed to initialize logging driver: "


class Starter:
    """Starts containers."""

    def __init__(
        self,
        *,
        store: ContainerStore,
        tasks: Tasks,
        networks: NetworkController,
        volumes: Catalog,
        volume_use: VolumeUse,
        rootfs: RootFilesystems,
        specs: SpecWriter,
        attacher: Attacher,
        teardown: Teardown,
        remover: Remover,
        announcer: Announcer,
        health: HealthMonitor,
        owner: str,
        runtimes: Runtimes,
        on_start: Callable[[float], None],
    ) -> None:
        """``owner`` marks the containers of this daemon in containerd; ``on_start`` hears how long each start took."""
        self._store = store
        self._tasks = tasks
        self._networks = networks
        self._volumes = volumes
        self._volume_use = volume_use
        self._rootfs = rootfs
        self._specs = specs
        self._attacher = attacher
        self._teardown = teardown
        self._remover = remover
        self._announcer = announcer
        self._health = health
        self._owner = owner
        self._runtimes = runtimes
        self._on_start = on_start

    async def start(self, reference: str) -> None:
        """Start; raises AlreadyStarted, Conflict, and whatever keeps it from starting."""
        container = self._store.get(reference)
        async with container.lock:
            if container.removing:
                raise StartRemoved
            if container.state.paused:
                raise StartPaused
            if container.running or container.state.restarting:
                raise AlreadyStarted
            container.manually_stopped = False
            await self.run(container)

    async def run(self, container: Container) -> None:
        """Start a container whose lock the caller holds; a failure is recorded, and raised."""
        container.state.error = ""
        began = time.perf_counter()
        try:
            await self._launch(container)
        except EngineError as error:
            state = container.state
            state.change(Change.FAIL)
            state.error, state.exit_code = error.message, _exit_code(error.message)
            container.save()
            self._attacher.dismiss(container)
            wait.finish_ended(container)
            if container.host.get("AutoRemove"):
                self._remover.remove_soon(container)
            raise
        self._on_start(time.perf_counter() - began)

    async def _launch(self, container: Container) -> None:
        with tracing.span("dockerd.container.start", container=container.container_id):
            await self._launched(container)

    async def _launched(self, container: Container) -> None:
        async with contextlib.AsyncExitStack() as undo:
            container.torn_down = False
            undo.push_async_callback(self._teardown.run, container)
            await self._volume_use.begin(container)
            merged, attachment = await asyncio.gather(
                self._mount(container),
                self._attach(container),
            )
            self._announcer.say_network(container, "connect", attachment)
            self._rootfs.mark(merged)
            shm.prepare(container)
            mount_table.prepare(container)
            with tracing.span("dockerd.spec.write"):
                spec = self._specs.write(container, merged, attachment)
            if container.mounts:
                await asyncio.to_thread(copy_up, merged, container.mounts, self._volumes)
            try:
                pid = await self._create_task(container, spec)
                with tracing.span("dockerd.attach.deliver"):
                    await self._attacher.deliver(container)
                await self._tasks.start(container.container_id)
            except EngineError as error:
                raise _as_docker(error) from error
            undo.pop_all()
        state = container.state
        state.change(Change.START)
        state.pid, state.exit_code, state.oom_killed, state.started_at = pid, 0, False, now()
        self._health.started(container)
        container.save()
        self._announcer.say(container, "start")

    async def _mount(self, container: Container) -> str:
        with tracing.span("dockerd.rootfs.mount"):
            return await self._rootfs.mount(container)

    async def _attach(self, container: Container) -> Attachment:
        joined.running(container.host, "NetworkMode", self._store, container.container_id)
        try:
            with tracing.span("dockerd.network.attach"):
                request = endpoint_request.of(container, self._store)
                attachment = await self._networks.attach(request)
        except EngineError as error:
            text = f"failed to set up container networking: {error.message}"
            raise error_for(error.kind, text, error.reason, error.details) from error
        container.address = network_files.address_of(attachment)
        return attachment

    def _output(self, container: Container) -> str:
        try:
            return output_uri(container, self._attacher.path(container.container_id))
        except EngineError as error:
            raise Internal(f"{_LOGGING}{error.message}") from None

    async def _create_task(self, container: Container, spec: dict[str, Any]) -> int:
        stdin = ""
        if container.config.get("OpenStdin"):
            stdin = f"attach://?once={int(bool(container.config.get('StdinOnce')))}"
        return await self._tasks.create(
            container.container_id,
            spec,
            {
                "com.docker/engine.bundle.path": container.directory,
                "dockyard/owner": self._owner,
            },
            image=container.image_name,
            binary=self._runtimes.program(container.host.get("Runtime") or ""),
            stdin=stdin,
            output=self._output(container),
            terminal=container.terminal,
        )


def _as_docker(error: EngineError) -> EngineError:
    """The frame that Docker puts around what its runtime says, with its guesses of what the user did wrong."""
    _, logging, why = error.message.partition(_LOGGING)
    if logging:
        return Internal(f"{_TASK}{_LOGGING}{why}", details=error.details)
    text = f"{_FAILED}{error.message}: unknown"
    code = _exit_code(text)
    if code == _OTHER:
        return Internal(text, details=error.details)
    if "is a directory" in text.lower():
        # The CLI looks for these words to tell 126 from 125.
        text += ": permission denied"
    elif "not a directory" in text.lower():
        text += (
            ": Are you trying to mount a directory onto a file (or vice-versa)?"
            " Check if the specified host path exists and is the expected type"
        )
    return InvalidArgument(text, details=error.details)


def _exit_code(message: str) -> int:
    text = message.lower()
    if "permission denied" in text or "is a directory" in text:
        return _NOT_EXECUTABLE
    if any(
        words in text
        for words in ("not a directory", "executable file not found", "no such file or directory")
    ):
        return _NOT_FOUND
    return _OTHER
