"""containerd.services.tasks.v1.Tasks: each call goes to the shim of its task."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Sequence
from functools import partial
from typing import Any

from google.protobuf import any_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message

from containerd.filters.match import Filter
from containerd.mounts.manager import MountManager
from containerd.services.checkpoints import Checkpoints
from containerd.services.records import Records
from containerd.tasks.manager import TaskManager
from containerd.tasks.sandboxes import SandboxManager
from containerd.tasks.shim_process import Shim
from wire import typeurl
from wire.errors import AlreadyExists, EngineError, InvalidArgument, NotFound, NotImplementedYet
from wire.gen.containerd.services.containers.v1 import containers_pb2
from wire.gen.containerd.services.tasks.v1 import tasks_pb2 as pb
from wire.gen.containerd.types import descriptor_pb2, metrics_pb2, mount_pb2
from wire.gen.containerd.types.runc.options import oci_pb2
from wire.gen.shim.task.v2 import shim_pb2 as shim

logger = logging.getLogger(__name__)


class TasksService:
    """Tasks of the current namespace."""

    def __init__(
        self,
        manager: TaskManager,
        containers: Records,
        sandboxes: SandboxManager,
        sandbox_records: Records,
        mounts: MountManager,
        checkpoints: Checkpoints,
    ) -> None:
        self._manager = manager
        self._containers = containers
        self._sandboxes = sandboxes
        self._sandbox_records = sandbox_records
        self._mounts = mounts
        self._checkpoints = checkpoints

    async def create(self, request: pb.CreateTaskRequest, _context: Any) -> pb.CreateTaskResponse:
        """Create a task of a container."""
        container = containers_pb2.Container.FromString(
            await self._containers.get(request.container_id)
        )
        options = request.options if request.HasField("options") else container.runtime.options
        create = shim.CreateTaskRequest(
            id=container.id,
            rootfs=await self._rootfs(container.id, request.rootfs),
            terminal=request.terminal,
            stdin=request.stdin,
            stdout=request.stdout,
            stderr=request.stderr,
        )
        if options.type_url:
            create.options.CopyFrom(options)
        given = _runc_options(options)
        create.checkpoint = given.criu_image_path
        prepare = None
        if request.HasField("checkpoint") and not create.checkpoint:
            prepare = partial(self._unpack, request.checkpoint, create)
        try:
            pid = await self._manager.create(
                container_id=container.id,
                runtime=request.runtime_path or container.runtime.name,
                spec=container.spec.value,
                request=create,
                shim=await self._host(container.sandbox, request, given),
                prepare=prepare,
            )
        except EngineError:
            await self._unmount(container.id)
            raise
        return pb.CreateTaskResponse(container_id=container.id, pid=pid)

    async def _rootfs(
        self, container_id: str, mounts: Sequence[mount_pb2.Mount]
    ) -> Sequence[mount_pb2.Mount]:
        """The mounts that are the shim's to make, after those that are ours."""
        if not any("/" in each.type for each in mounts):
            return mounts
        labels = {"containerd.io/gc.bref.container": container_id}
        try:
            info = await self._mounts.activate(container_id, mounts, labels, temporary=False)
        except AlreadyExists:
            # Of an earlier task of this container, whose end a killed daemon did not see.
            info = await self._mounts.info(container_id)
        except NotImplementedYet:
            return mounts
        return info.system

    async def _unmount(self, container_id: str) -> None:
        if self._mounts.active(container_id):
            await self._mounts.deactivate(container_id)

    async def _unpack(
        self, images: descriptor_pb2.Descriptor, create: shim.CreateTaskRequest, bundle: str
    ) -> None:
        """Put the images of a checkpoint into the bundle, which they go with."""
        if "RestoreFromPath" in images.annotations:
            raise NotImplementedYet("restoring from a path (RestoreFromPath) is not implemented")
        create.checkpoint = f"{bundle}/checkpoint"
        await self._checkpoints.fetch(images, create.checkpoint)

    async def _host(
        self, sandbox: str, request: pb.CreateTaskRequest, given: oci_pb2.Options
    ) -> Shim | None:
        """The shim that runs already and is to have the task: that of the container's sandbox, or one that is named."""
        # Clients of before containerd 2.3 name it in the runtime's options.
        address = request.task_api_address or given.task_api_address
        version = request.task_api_version or given.task_api_version
        if not sandbox:
            if address:
                raise InvalidArgument(
                    f"task_api_address {address}: the container is in no sandbox: invalid argument"
                )
            return None
        try:
            await self._sandbox_records.get(sandbox)
        except NotFound:
            # As the original: of a client whose sandboxes are containers, whose group the spec names.
            logger.warning("sandbox not found", extra={"sandbox": sandbox})
            return None
        if not address:
            return self._sandboxes.shim(sandbox)
        protocol, plus, where = address.partition("+")
        if not plus:
            raise InvalidArgument(
                "the scheme of sandbox address should be in the form of <protocol>+<unix|vsock|tcp>,"
                " i.e. ttrpc+unix or grpc+vsock: invalid argument"
            )
        if protocol != "ttrpc" or not where.startswith("unix://"):
            raise NotImplementedYet(f"task_api_address {address} is not implemented")
        if version not in {0, 2, 3}:
            raise NotImplementedYet(f"task_api_version {version} is not implemented")
        return Shim(address=where.removeprefix("unix://"), version=version or 3)

    async def start(self, request: pb.StartRequest, _context: Any) -> pb.StartResponse:
        """Start a task or an exec."""
        task = await self._manager.find(request.container_id)
        response = await task.call(
            "Start",
            shim.StartRequest(id=task.container_id, exec_id=request.exec_id),
            shim.StartResponse,
        )
        if not request.exec_id and not task.pid:
            # Brought back from a checkpoint: there was no process before.
            task.load()
        return pb.StartResponse(pid=response.pid)

    async def delete(self, request: pb.DeleteTaskRequest, _context: Any) -> pb.DeleteResponse:
        """Delete a stopped task."""
        task = await self._manager.find(request.container_id)
        response = await self._manager.delete(task)
        await self._unmount(task.container_id)
        return _deleted(request.container_id, response)

    async def delete_process(
        self, request: pb.DeleteProcessRequest, _context: Any
    ) -> pb.DeleteResponse:
        """Delete a stopped exec."""
        task = await self._manager.find(request.container_id)
        response = await task.call(
            "Delete",
            shim.DeleteRequest(id=task.container_id, exec_id=request.exec_id),
            shim.DeleteResponse,
        )
        return _deleted(request.exec_id, response)

    async def get(self, request: pb.GetRequest, _context: Any) -> pb.GetResponse:
        """The state of a process."""
        task = await self._manager.find(request.container_id)
        return pb.GetResponse(process=await self._manager.state(task, request.exec_id))

    async def list(self, _request: pb.ListTasksRequest, _context: Any) -> pb.ListTasksResponse:
        """All tasks."""
        return pb.ListTasksResponse(tasks=await self._manager.states())

    async def kill(self, request: pb.KillRequest, _context: Any) -> Empty:
        """Send a signal."""
        task = await self._manager.find(request.container_id)
        await self._manager.kill(
            task,
            shim.KillRequest(
                id=task.container_id,
                exec_id=request.exec_id,
                signal=request.signal,
                all=request.all,
            ),
        )
        return Empty()

    async def exec(self, request: pb.ExecProcessRequest, _context: Any) -> Empty:
        """Add an exec."""
        if not request.exec_id:
            raise InvalidArgument("exec id cannot be empty: invalid argument")
        task = await self._manager.find(request.container_id)
        return await task.call(
            "Exec",
            shim.ExecProcessRequest(
                id=task.container_id,
                exec_id=request.exec_id,
                terminal=request.terminal,
                stdin=request.stdin,
                stdout=request.stdout,
                stderr=request.stderr,
                spec=request.spec,
            ),
            Empty,
        )

    async def resize_pty(self, request: pb.ResizePtyRequest, _context: Any) -> Empty:
        """Resize a terminal."""
        task = await self._manager.find(request.container_id)
        return await task.call(
            "ResizePty",
            shim.ResizePtyRequest(
                id=task.container_id,
                exec_id=request.exec_id,
                width=request.width,
                height=request.height,
            ),
            Empty,
        )

    async def close_io(self, request: pb.CloseIORequest, _context: Any) -> Empty:
        """End a process's input."""
        task = await self._manager.find(request.container_id)
        return await task.call(
            "CloseIO",
            shim.CloseIORequest(id=task.container_id, exec_id=request.exec_id, stdin=request.stdin),
            Empty,
        )

    async def pause(self, request: pb.PauseTaskRequest, _context: Any) -> Empty:
        """Freeze."""
        task = await self._manager.find(request.container_id)
        return await task.call("Pause", shim.PauseRequest(id=task.container_id), Empty)

    async def resume(self, request: pb.ResumeTaskRequest, _context: Any) -> Empty:
        """Thaw."""
        task = await self._manager.find(request.container_id)
        return await task.call("Resume", shim.ResumeRequest(id=task.container_id), Empty)

    async def list_pids(self, request: pb.ListPidsRequest, _context: Any) -> pb.ListPidsResponse:
        """All processes."""
        task = await self._manager.find(request.container_id)
        response = await self._manager.pids(task)
        return pb.ListPidsResponse(processes=response.processes)

    async def checkpoint(
        self, request: pb.CheckpointTaskRequest, _context: Any
    ) -> pb.CheckpointTaskResponse:
        """Save the container's processes: where the options say, else as content."""
        container = containers_pb2.Container.FromString(
            await self._containers.get(request.container_id)
        )
        if request.parent_checkpoint:
            raise NotImplementedYet("checkpoint on top of another one is not implemented")
        task = await self._manager.find(request.container_id)
        save = shim.CheckpointTaskRequest(id=task.container_id, options=request.options)
        save.path = _checkpoint_options(request.options).image_path
        if save.path:
            await task.call("Checkpoint", save, Empty)
            return pb.CheckpointTaskResponse()
        # In the bundle, which goes with the task: whatever dies in between leaves nothing.
        save.path = f"{task.bundle}/checkpoint-{os.urandom(8).hex()}"
        try:
            await task.call("Checkpoint", save, Empty)
            found = await self._checkpoints.store(save.path, container.spec)
        finally:
            await asyncio.to_thread(shutil.rmtree, save.path, ignore_errors=True)
        return pb.CheckpointTaskResponse(descriptors=found)

    async def update(self, request: pb.UpdateTaskRequest, _context: Any) -> Empty:
        """Change limits."""
        task = await self._manager.find(request.container_id)
        return await task.call(
            "Update",
            shim.UpdateTaskRequest(id=task.container_id, resources=request.resources),
            Empty,
        )

    async def metrics(self, request: pb.MetricsRequest, _context: Any) -> pb.MetricsResponse:
        """Usage of the tasks that match."""
        wanted = Filter(request.filters)
        response = pb.MetricsResponse()
        for task in self._manager.list():
            if not wanted.matches(partial(_field, task.container_id)):
                continue
            try:
                stats = await task.call(
                    "Stats", shim.StatsRequest(id=task.container_id), shim.StatsResponse
                )
            except EngineError:
                # It ended since the listing.
                continue
            metric = metrics_pb2.Metric(id=task.container_id, data=stats.stats)
            metric.timestamp.GetCurrentTime()
            response.metrics.append(metric)
        return response

    async def wait(self, request: pb.WaitRequest, _context: Any) -> pb.WaitResponse:
        """Answer when a process has ended."""
        task = await self._manager.find(request.container_id)
        found = await self._manager.wait(task, request.exec_id)
        response = pb.WaitResponse(exit_status=found.exit_status)
        response.exited_at.CopyFrom(found.exited_at)
        return response


def _field(container_id: str, path: tuple[str, ...]) -> str | None:
    return container_id if path == ("id",) else None


def _runc_options(packed: any_pb2.Any) -> oci_pb2.Options:
    """What runc's options say to us; none for the options of another runtime, which are its shim's matter."""
    found = oci_pb2.Options()
    if typeurl.name(packed) == found.DESCRIPTOR.full_name:
        _parse(packed, found)
    return found


def _checkpoint_options(packed: any_pb2.Any) -> oci_pb2.CheckpointOptions:
    found = oci_pb2.CheckpointOptions()
    if typeurl.name(packed) == found.DESCRIPTOR.full_name:
        _parse(packed, found)
    return found


def _parse(packed: any_pb2.Any, into: Message) -> None:
    try:
        into.ParseFromString(packed.value)
    except DecodeError as error:
        raise InvalidArgument(f"{typeurl.name(packed)} is malformed: {error}") from error


def _deleted(name: str, response: shim.DeleteResponse) -> pb.DeleteResponse:
    found = pb.DeleteResponse(id=name, pid=response.pid, exit_status=response.exit_status)
    found.exited_at.CopyFrom(response.exited_at)
    return found
