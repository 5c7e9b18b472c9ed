"""Containers, tasks and snapshots of containerd, in the words of dockerd."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty

from dockerd.containerd_client.client import Containerd
from wire import typeurl
from wire.errors import AlreadyExists, FailedPrecondition, NotFound
from wire.gen.containerd.events import task_pb2 as events
from wire.gen.containerd.services.containers.v1 import containers_pb2 as containers
from wire.gen.containerd.services.events.v1 import events_pb2
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2 as snapshots
from wire.gen.containerd.services.tasks.v1 import tasks_pb2 as tasks
from wire.gen.containerd.types import event_pb2, mount_pb2
from wire.gen.containerd.types.runc.options import oci_pb2
from wire.gen.containerd.types.task import task_pb2

RUNTIME: Final = "io.containerd.dockyard.v1"
_SNAPSHOTTER: Final = "overlayfs"
_OPTIONS_URL: Final = "containerd.runc.v1.Options"


# Type, source and options, as containerd's Mount message.
Mount = tuple[str, str, list[str]]


@dataclass(frozen=True, slots=True)
class Exited:
    """How a process ended; ``at`` in nanoseconds since 1970."""

    status: int
    at: int


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task as containerd knows it."""

    pid: int
    running: bool
    paused: bool
    exited: Exited | None


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """One of ``exit``, ``oom``; ``process_id`` is the container's id for its own process, else an exec's."""

    kind: str
    container_id: str
    process_id: str
    exited: Exited | None
    pid: int = 0


class Tasks:
    """What starting, stopping and watching containers needs of containerd."""

    def __init__(self, containerd: Containerd) -> None:
        self._containerd = containerd

    # -- snapshots

    async def prepare(self, key: str, parent: str) -> list[Mount]:
        """A writable snapshot that stays although no container refers to it yet; how to mount it."""
        request = snapshots.PrepareSnapshotRequest(
            snapshotter=_SNAPSHOTTER,
            key=key,
            parent=parent,
            labels={"containerd.io/gc.root": "dockerd"},
        )
        response = await self._containerd.call(
            "snapshots.v1.Snapshots", "Prepare", request, snapshots.PrepareSnapshotResponse
        )
        return _mounts(response.mounts)

    async def view(self, key: str, parent: str) -> list[Mount]:
        """The same that cannot be written to."""
        request = snapshots.ViewSnapshotRequest(
            snapshotter=_SNAPSHOTTER,
            key=key,
            parent=parent,
            labels={"containerd.io/gc.root": "dockerd"},
        )
        response = await self._containerd.call(
            "snapshots.v1.Snapshots", "View", request, snapshots.ViewSnapshotResponse
        )
        return _mounts(response.mounts)

    async def mounts(self, key: str) -> list[Mount]:
        """How to mount a snapshot."""
        response = await self._containerd.ask(
            "snapshots.v1.Snapshots",
            "Mounts",
            snapshots.MountsRequest(snapshotter=_SNAPSHOTTER, key=key),
            snapshots.MountsResponse,
        )
        return _mounts(response.mounts)

    async def usage(self, key: str) -> int:
        """The bytes that a snapshot itself takes."""
        response = await self._containerd.ask(
            "snapshots.v1.Snapshots",
            "Usage",
            snapshots.UsageRequest(snapshotter=_SNAPSHOTTER, key=key),
            snapshots.UsageResponse,
        )
        return response.size

    async def remove_snapshot(self, key: str) -> None:
        """Harmless if there is none."""
        try:
            await self._containerd.call(
                "snapshots.v1.Snapshots",
                "Remove",
                snapshots.RemoveSnapshotRequest(snapshotter=_SNAPSHOTTER, key=key),
                Empty,
            )
        except NotFound:
            return

    # -- containers and tasks

    async def create(
        self,
        container_id: str,
        spec: dict[str, Any],
        labels: dict[str, str],
        *,
        image: str,
        binary: str,
        stdin: str,
        output: str,
        terminal: bool,
    ) -> int:
        """Create container and task; the pid. ``binary`` is an OCI runtime other than the default, or empty."""
        options = oci_pb2.Options(binary_name=binary)
        record = containers.Container(
            id=container_id,
            labels=labels,
            image=image,
            snapshotter=_SNAPSHOTTER,
            snapshot_key=container_id,
            runtime=containers.Container.Runtime(name=RUNTIME, options=typeurl.pack(options)),
            spec=typeurl.pack_json(typeurl.SPEC_URL, spec),
        )
        request = containers.CreateContainerRequest(container=record)
        try:
            await self._containerd.call(
                "containers.v1.Containers", "Create", request, containers.CreateContainerResponse
            )
        except AlreadyExists:
            # Of a start that was cut short.
            await self.delete(container_id)
            await self._containerd.call(
                "containers.v1.Containers", "Create", request, containers.CreateContainerResponse
            )
        response = await self._containerd.call(
            "tasks.v1.Tasks",
            "Create",
            tasks.CreateTaskRequest(
                container_id=container_id,
                stdin=stdin,
                stdout=output,
                stderr=output,
                terminal=terminal,
            ),
            tasks.CreateTaskResponse,
        )
        return response.pid

    async def start(self, container_id: str, exec_id: str = "") -> int:
        """Start a created process; the pid."""
        response = await self._containerd.call(
            "tasks.v1.Tasks",
            "Start",
            tasks.StartRequest(container_id=container_id, exec_id=exec_id),
            tasks.StartResponse,
        )
        return response.pid

    async def add_exec(
        self,
        container_id: str,
        exec_id: str,
        process: dict[str, Any],
        *,
        stdin: str,
        output: str,
        terminal: bool,
    ) -> None:
        """Add an exec with an OCI process document."""
        await self._containerd.call(
            "tasks.v1.Tasks",
            "Exec",
            tasks.ExecProcessRequest(
                container_id=container_id,
                exec_id=exec_id,
                stdin=stdin,
                stdout=output,
                stderr=output,
                terminal=terminal,
                spec=typeurl.pack_json(typeurl.PROCESS_URL, process),
            ),
            Empty,
        )

    async def delete_exec(self, container_id: str, exec_id: str) -> None:
        """Forget a stopped exec; harmless if it is gone."""
        try:
            await self._containerd.call(
                "tasks.v1.Tasks",
                "DeleteProcess",
                tasks.DeleteProcessRequest(container_id=container_id, exec_id=exec_id),
                tasks.DeleteResponse,
            )
        except NotFound:
            return

    async def state(self, container_id: str, exec_id: str = "") -> TaskState | None:
        """A process's state; None if containerd knows no such task."""
        try:
            response = await self._containerd.ask(
                "tasks.v1.Tasks",
                "Get",
                tasks.GetRequest(container_id=container_id, exec_id=exec_id),
                tasks.GetResponse,
            )
        except NotFound:
            return None
        process = response.process
        exited = None
        if process.status == task_pb2.STOPPED:
            exited = Exited(process.exit_status, process.exited_at.ToNanoseconds())
        return TaskState(
            pid=process.pid,
            running=process.status in {task_pb2.RUNNING, task_pb2.PAUSED, task_pb2.PAUSING},
            paused=process.status == task_pb2.PAUSED,
            exited=exited,
        )

    async def kill(self, container_id: str, signal: int, *, exec_id: str = "") -> None:
        """Send a signal; raises NotFound if the process has ended."""
        await self._containerd.call(
            "tasks.v1.Tasks",
            "Kill",
            tasks.KillRequest(container_id=container_id, exec_id=exec_id, signal=signal),
            Empty,
        )

    async def pause(self, container_id: str, *, paused: bool) -> None:
        """Freeze or thaw."""
        request: Any = (tasks.PauseTaskRequest if paused else tasks.ResumeTaskRequest)(
            container_id=container_id
        )
        await self._containerd.call(
            "tasks.v1.Tasks", "Pause" if paused else "Resume", request, Empty
        )

    async def resize(
        self, container_id: str, width: int, height: int, *, exec_id: str = ""
    ) -> None:
        """Set the size of a terminal."""
        await self._containerd.call(
            "tasks.v1.Tasks",
            "ResizePty",
            tasks.ResizePtyRequest(
                container_id=container_id, exec_id=exec_id, width=width, height=height
            ),
            Empty,
        )

    async def update(self, container_id: str, resources: dict[str, Any]) -> None:
        """Change limits of a running container."""
        await self._containerd.call(
            "tasks.v1.Tasks",
            "Update",
            tasks.UpdateTaskRequest(
                container_id=container_id,
                resources=typeurl.pack_json(typeurl.RESOURCES_URL, resources),
            ),
            Empty,
        )

    async def pids(self, container_id: str) -> list[int]:
        """All processes."""
        response = await self._containerd.ask(
            "tasks.v1.Tasks",
            "ListPids",
            tasks.ListPidsRequest(container_id=container_id),
            tasks.ListPidsResponse,
        )
        return [each.pid for each in response.processes]

    async def delete(self, container_id: str) -> None:
        """Delete task and container, whatever it does; harmless for what does not exist."""
        with contextlib.suppress(NotFound):
            try:
                await self._delete_task(container_id)
            except FailedPrecondition:
                # It runs: a start that was cut short after all.
                await self.kill(container_id, signal.SIGKILL)
                await self._containerd.call(
                    "tasks.v1.Tasks",
                    "Wait",
                    tasks.WaitRequest(container_id=container_id),
                    tasks.WaitResponse,
                )
                await self._delete_task(container_id)
        with contextlib.suppress(NotFound):
            await self._containerd.call(
                "containers.v1.Containers",
                "Delete",
                containers.DeleteContainerRequest(id=container_id),
                Empty,
            )

    async def _delete_task(self, container_id: str) -> None:
        await self._containerd.call(
            "tasks.v1.Tasks",
            "Delete",
            tasks.DeleteTaskRequest(container_id=container_id),
            tasks.DeleteResponse,
        )

    async def watch(self, on_subscribed: Callable[[], None]) -> AsyncIterator[TaskEvent]:
        """Exits and OOM kills, all from the call of ``on_subscribed`` on; raises Unavailable when containerd goes."""
        request = events_pb2.SubscribeRequest(
            filters=['namespace==moby,topic=="/tasks/exit"', 'namespace==moby,topic=="/tasks/oom"']
        )
        async for envelope in self._containerd.stream(
            "events.v1.Events", "Subscribe", request, event_pb2.Envelope, on_subscribed
        ):
            match typeurl.unpack(envelope.event):
                case events.TaskExit() as event:
                    ended = Exited(event.exit_status, event.exited_at.ToNanoseconds())
                    yield TaskEvent("exit", event.container_id, event.id, ended, event.pid)
                case events.TaskOOM() as event:
                    yield TaskEvent("oom", event.container_id, event.container_id, None)
                case _:
                    continue


def _mounts(messages: Iterable[mount_pb2.Mount]) -> list[Mount]:
    return [(each.type, each.source, list(each.options)) for each in messages]
