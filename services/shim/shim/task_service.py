"""The task service, versions 2 and 3 (the messages are the same): converts, and calls the container."""

from __future__ import annotations

import contextlib
import os

from shim import checkpoint, log, messages, record, sandbox
from shim import options as shim_options
from shim.cgroups.join import join
from shim.container import Container, decode_mounts
from shim.process import Phase
from shim.succession import Refusal
from wire.codec import DecodeError
from wire.errors import AlreadyExists, InvalidArgument, NotFound, NotImplementedYet
from wire.gen.containerd.events import task_msg as events
from wire.gen.containerd.types.runc.options import oci_msg
from wire.gen.containerd.types.runtimeoptions.v1 import api_msg
from wire.gen.containerd.types.task import task_msg
from wire.gen.google.protobuf.empty_msg import Empty
from wire.gen.shim.task.v2 import shim_msg

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any, Final

    from shim.events import Publisher
    from shim.exits import Exits
    from shim.loop import Future, Loop
    from shim.process import Process
    from wire.codec import Message

    Answer = Coroutine[Future[Any], None, Message]

_STATUS: Final = {
    Phase.ADDED: task_msg.CREATED,
    Phase.CREATED: task_msg.CREATED,
    Phase.RUNNING: task_msg.RUNNING,
    Phase.STOPPED: task_msg.STOPPED,
}
# Version 3 has the messages of version 2 under another package name, which is not on the wire.
SERVICES: Final = frozenset({"containerd.task.v2.Task", "containerd.task.v3.Task"})
_OPTIONS: Final = "containerd.runc.v1.Options"
_TYPED_OPTIONS: Final = "runtimeoptions.v1.Options"


class TaskService:
    """Answers the calls of one shim; ``shut_down`` ends its process, ``ended`` hears of each end in its containers."""

    def __init__(
        self,
        loop: Loop,
        exits: Exits,
        publisher: Publisher,
        *,
        namespace: str,
        socket_dir: str,
        socket: str,
        shut_down: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._exits = exits
        self._publisher = publisher
        self._namespace = namespace
        self._socket_dir = socket_dir
        self._socket = socket
        self._shut_down = shut_down
        self._ended = ended
        self._containers: dict[str, Container] = {}

    def dispatch(self, service: str, method: str, payload: bytes) -> Answer:
        """The coroutine that answers a call; raises NotImplementedYet and InvalidArgument."""
        handler = _METHODS.get(method)
        if service not in SERVICES or handler is None:
            raise NotImplementedYet(f"/{service}/{method} is not implemented")
        request_type, function = handler
        try:
            request = request_type.FromString(payload)
        except DecodeError:
            raise InvalidArgument(f"{method}: request is malformed") from None
        return function(self, request)

    def _container(self, container_id: str) -> Container:
        found = self._containers.get(container_id)
        if found is None:
            raise NotFound(f"container {container_id}: not found")
        return found

    @property
    def empty(self) -> bool:
        """Whether there is no container."""
        return not self._containers

    @property
    def living(self) -> bool:
        """Whether a container's own process lives."""
        return any(
            container.init is not None and container.init.living
            for container in self._containers.values()
        )

    def hand_over(self, descriptors: list[int]) -> dict[str, Any]:
        """What the shim's next process needs to go on; raises Refusal while anything is under way."""
        if len(self._containers) != 1 or not self._publisher.idle:
            raise Refusal
        (container,) = self._containers.values()
        return container.hand_over(descriptors)

    def take_over(self, found: dict[str, Any], descriptors: Iterator[int]) -> None:
        """Go on with what the shim's earlier process has handed over."""
        known = record.parse(found["record"])
        container = self._new(known.container_id, found["bundle"], known.options)
        container.take_over(found, known, descriptors)

    def adopt(self, bundle: str) -> None:
        """Take over the containers of a shim that was killed, if it had any in ``bundle`` and its neighbours."""
        for path in record.bundles_of(self._socket, bundle):
            found = record.load(path)
            if found is None or found.container_id in self._containers:
                continue
            if sandbox.load(path) is None:
                container = self._new(found.container_id, path, found.options)
                self._loop.start(self._adopt(container, found))

    async def _adopt(self, container: Container, found: record.ContainerRecord) -> None:
        try:
            await container.adopt(found)
        except BaseException:
            del self._containers[found.container_id]
            raise
        log.warning("adopted", container=found.container_id)

    def _new(self, container_id: str, bundle: str, options: shim_options.Options) -> Container:
        container = Container(
            self._loop,
            self._exits,
            container_id=container_id,
            namespace=self._namespace,
            bundle=bundle,
            options=options,
            socket_dir=self._socket_dir,
            socket=self._socket,
            on_exit=lambda process: self._exited(container, process),
            on_oom=lambda: self._publisher.publish(events.TaskOOM(container_id=container_id)),
        )
        self._containers[container_id] = container
        return container

    def _exited(self, container: Container, process: Process) -> None:
        ended = process.exit
        assert ended is not None
        event = events.TaskExit(
            container_id=container.container_id,
            id=process.exec_id or container.container_id,
            pid=process.pid,
            exit_status=ended.status,
            exited_at=messages.timestamp(ended.at),
        )
        self._publisher.publish(event)
        self._ended()

    async def create(self, request: Any) -> Message:
        """Create the container."""
        if request.id in self._containers:
            raise AlreadyExists(f"task {request.id}: already exists")
        if request.parent_checkpoint:
            raise NotImplementedYet("restoring with a parent checkpoint is not implemented")
        given = given_options(request.options)
        images = None
        if request.checkpoint:
            work = given.criu_work_path or f"{request.bundle}/criu-work"
            images = checkpoint.Images(request.checkpoint, work)
        enter_cgroup(given, request.bundle)
        container = self._new(request.id, request.bundle, resolved(self._namespace, given))
        try:
            process = await container.create(
                rootfs=decode_mounts(request.rootfs),
                terminal=request.terminal,
                stdin=request.stdin,
                stdout=request.stdout,
                stderr=request.stderr,
                images=images,
            )
        except BaseException:
            del self._containers[request.id]
            raise
        event = events.TaskCreate(
            container_id=request.id,
            bundle=request.bundle,
            rootfs=request.rootfs,
            io=events.TaskIO(
                stdin=request.stdin,
                stdout=request.stdout,
                stderr=request.stderr,
                terminal=request.terminal,
            ),
            pid=process.pid,
            checkpoint=request.checkpoint,
        )
        self._publisher.publish(event)
        process.announced.set(None)
        return shim_msg.CreateTaskResponse(pid=process.pid)

    async def start(self, request: Any) -> Message:
        """Start the container's process, or an exec."""
        container = self._container(request.id)
        event: Message
        if request.exec_id:
            process = await container.start_exec(request.exec_id)
            event = events.TaskExecStarted(
                container_id=request.id, exec_id=request.exec_id, pid=process.pid
            )
        else:
            process = await container.start()
            event = events.TaskStart(container_id=request.id, pid=process.pid)
        self._publisher.publish(event)
        process.announced.set(None)
        return shim_msg.StartResponse(pid=process.pid)

    async def state(self, request: Any) -> Message:
        """What is known about a process."""
        container = self._container(request.id)
        process = container.process(request.exec_id)
        status = _STATUS[process.phase]
        if container.paused and process.phase is Phase.RUNNING:
            status = task_msg.PAUSED
        response = shim_msg.StateResponse(
            id=process.exec_id or request.id,
            bundle=container.bundle,
            pid=process.pid,
            status=status,
            stdin=process.stdin,
            stdout=process.stdout,
            stderr=process.stderr,
            terminal=process.terminal,
            exec_id=process.exec_id,
        )
        _put_exit(response, process)
        return response

    async def delete(self, request: Any) -> Message:
        """Remove what has stopped."""
        container = self._container(request.id)
        process = await container.delete(request.exec_id)
        response = shim_msg.DeleteResponse(pid=process.pid)
        _put_exit(response, process)
        if not request.exec_id:
            del self._containers[request.id]
            event = events.TaskDelete(
                container_id=request.id, pid=process.pid, exit_status=response.exit_status
            )
            event.exited_at = response.exited_at
            self._publisher.publish(event)
        return response

    async def pids(self, request: Any) -> Message:
        """All processes."""
        container = self._container(request.id)
        response = shim_msg.PidsResponse()
        by_pid = {process.pid: process for process in container.execs.values()}
        for pid in container.pids():
            entry = task_msg.ProcessInfo(pid=pid)
            if pid in by_pid:
                entry.info = messages.pack(oci_msg.ProcessDetails(exec_id=by_pid[pid].exec_id))
            response.processes.append(entry)
        return response

    async def pause(self, request: Any) -> Message:
        """Freeze."""
        await self._container(request.id).pause(paused=True)
        self._publisher.publish(events.TaskPaused(container_id=request.id))
        return Empty()

    async def resume(self, request: Any) -> Message:
        """Thaw."""
        await self._container(request.id).pause(paused=False)
        self._publisher.publish(events.TaskResumed(container_id=request.id))
        return Empty()

    async def checkpoint(self, request: Any) -> Message:
        """Save the container's processes."""
        container = self._container(request.id)
        await container.checkpoint(
            checkpoint.Wanted(request.path, _checkpoint_options(request.options))
        )
        self._publisher.publish(
            events.TaskCheckpointed(container_id=request.id, checkpoint=request.path)
        )
        return Empty()

    async def kill(self, request: Any) -> Message:
        """Send a signal."""
        container = self._container(request.id)
        await container.kill(request.exec_id, request.signal, everything=request.all)
        return Empty()

    async def exec(self, request: Any) -> Message:
        """Add an exec."""
        self._container(request.id).add_exec(
            request.exec_id,
            terminal=request.terminal,
            stdin=request.stdin,
            stdout=request.stdout,
            stderr=request.stderr,
            spec=request.spec.value,
        )
        self._publisher.publish(
            events.TaskExecAdded(container_id=request.id, exec_id=request.exec_id)
        )
        return Empty()

    async def resize_pty(self, request: Any) -> Message:
        """Resize a terminal."""
        process = self._container(request.id).process(request.exec_id)
        process.streams.resize(request.width, request.height)
        return Empty()

    async def close_io(self, request: Any) -> Message:
        """End a process's input."""
        if request.stdin:
            self._container(request.id).process(request.exec_id).streams.close_io()
        return Empty()

    async def update(self, request: Any) -> Message:
        """Change limits."""
        await self._container(request.id).update(request.resources.value)
        return Empty()

    async def wait(self, request: Any) -> Message:
        """Answer when a process has ended."""
        container = self._container(request.id)
        process = container.process(request.exec_id)
        await process.exited
        response = shim_msg.WaitResponse()
        _put_exit(response, process)
        return response

    async def stats(self, request: Any) -> Message:
        """Resource usage."""
        return shim_msg.StatsResponse(stats=messages.pack(self._container(request.id).metrics()))

    async def connect(self, request: Any) -> Message:
        """Who serves."""
        container = self._containers.get(request.id)
        process = container.init if container else None
        return shim_msg.ConnectResponse(
            shim_pid=os.getpid(), task_pid=process.pid if process else 0
        )

    async def shutdown(self, request: Any) -> Message:
        """End the shim when it has nothing left."""
        # As containerd's shims, whatever ``now`` says: others of a group may still be served.
        if self.empty:
            self._shut_down()
        return Empty()


_METHODS: Final[dict[str, tuple[type[Message], Callable[[TaskService, Any], Answer]]]] = {
    "Create": (shim_msg.CreateTaskRequest, TaskService.create),
    "Start": (shim_msg.StartRequest, TaskService.start),
    "State": (shim_msg.StateRequest, TaskService.state),
    "Delete": (shim_msg.DeleteRequest, TaskService.delete),
    "Pids": (shim_msg.PidsRequest, TaskService.pids),
    "Pause": (shim_msg.PauseRequest, TaskService.pause),
    "Resume": (shim_msg.ResumeRequest, TaskService.resume),
    "Checkpoint": (shim_msg.CheckpointTaskRequest, TaskService.checkpoint),
    "Kill": (shim_msg.KillRequest, TaskService.kill),
    "Exec": (shim_msg.ExecProcessRequest, TaskService.exec),
    "ResizePty": (shim_msg.ResizePtyRequest, TaskService.resize_pty),
    "CloseIO": (shim_msg.CloseIORequest, TaskService.close_io),
    "Update": (shim_msg.UpdateTaskRequest, TaskService.update),
    "Wait": (shim_msg.WaitRequest, TaskService.wait),
    "Stats": (shim_msg.StatsRequest, TaskService.stats),
    "Connect": (shim_msg.ConnectRequest, TaskService.connect),
    "Shutdown": (shim_msg.ShutdownRequest, TaskService.shutdown),
}


def _put_exit(response: Any, process: Process) -> None:
    if process.exit is not None:
        response.exit_status = process.exit.status
        response.exited_at = messages.timestamp(process.exit.at)


def enter_cgroup(given: oci_msg.Options, bundle: str) -> None:
    """Put both of the shim's processes where the options want it; raises FailedPrecondition."""
    if not given.shim_cgroup:
        return
    pids = {os.getpid()}
    # The first of the two is the one that is noted.
    with contextlib.suppress(OSError, ValueError), open(f"{bundle}/shim.pid") as file:
        pids.add(int(file.read()))
    join(given.shim_cgroup, pids)


def _checkpoint_options(packed: Any) -> oci_msg.CheckpointOptions:
    name = messages.name(packed)
    if name in {"", Empty.NAME}:
        return oci_msg.CheckpointOptions()
    if name != oci_msg.CheckpointOptions.NAME:
        raise InvalidArgument(f"checkpoint options of type {name} are not understood")
    try:
        return oci_msg.CheckpointOptions.FromString(packed.value)
    except DecodeError as error:
        raise InvalidArgument(f"checkpoint options are malformed: {error}") from error


def given_options(packed: Any) -> oci_msg.Options:
    """What a client's options say; raises InvalidArgument for those of another shim."""
    name = messages.name(packed)
    try:
        # Go clients pack "none" as Empty.
        if name in {"", Empty.NAME}:
            return oci_msg.Options()
        if name == _TYPED_OPTIONS:
            _check_typed(api_msg.Options.FromString(packed.value))
            return oci_msg.Options()
        if name != _OPTIONS:
            raise InvalidArgument(f"runtime options of type {name} are not understood")
        return oci_msg.Options.FromString(packed.value)
    except DecodeError as error:
        raise InvalidArgument(f"runtime options are malformed: {error}") from error


def _check_typed(options: Any) -> None:
    """Options for runtimes without a schema of their own: this one has a schema."""
    for field in ("config_path", "config_body"):
        if getattr(options, field):
            raise InvalidArgument(
                f"runtime options: {field} of {_TYPED_OPTIONS} is not understood, {_OPTIONS} is"
            )


def resolved(namespace: str, given: oci_msg.Options) -> shim_options.Options:
    """The options with their defaults. What is in them for the daemon (images, addresses of tasks) is not looked at."""
    return shim_options.resolve(
        namespace,
        binary_name=given.binary_name,
        root=given.root,
        systemd_cgroup=given.systemd_cgroup,
        no_pivot_root=given.no_pivot_root,
        no_new_keyring=given.no_new_keyring,
        io_uid=given.io_uid,
        io_gid=given.io_gid,
    )
