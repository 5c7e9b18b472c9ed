"""The running containers: created, found again after a restart, recovered when their shim has died."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, Final, TypeVar

from containerd.events.exchange import Exchange
from containerd.tasks.bundle import make_bundle
from containerd.tasks.shim_process import Shim, ShimStarter, shut_down
from containerd.tasks.task import Task
from wire import namespaces
from wire.errors import (
    AlreadyExists,
    DeadlineExceeded,
    EngineError,
    FailedPrecondition,
    NotFound,
    Unavailable,
)
from wire.gen.containerd.events import task_pb2 as task_events
from wire.gen.containerd.types.task import task_pb2
from wire.gen.shim.task.v2 import shim_pb2
from wire.ttrpc.client import Client

logger = logging.getLogger(__name__)

_PATIENCE: Final = 5.0
_BREATH: Final = 0.5
_Result = TypeVar("_Result")
Prepare = Callable[[str], Awaitable[None]]


class TaskManager:
    """Creates tasks and finds them again."""

    def __init__(self, state: str, starter: ShimStarter, exchange: Exchange) -> None:
        self._root = os.path.join(state, "io.containerd.runtime.v2.task")
        self._starter = starter
        self._exchange = exchange
        self._tasks: dict[tuple[str, str], Task] = {}
        self._creating: dict[tuple[str, str], asyncio.Future[None]] = {}
        self._background: set[asyncio.Task[Any]] = set()

    async def find(self, container_id: str) -> Task:
        """A task of the current namespace, after its creation if that is under way; raises NotFound."""
        key = (namespaces.current(), container_id)
        creating = self._creating.get(key)
        if creating is not None:
            await asyncio.shield(creating)
        found = self._tasks.get(key)
        if found is None:
            raise NotFound(f"no running task found: task {container_id} not found: not found")
        return found

    def list(self) -> list[Task]:
        """The tasks of the current namespace."""
        namespace = namespaces.current()
        return [task for (owner, _), task in sorted(self._tasks.items()) if owner == namespace]

    async def create(
        self,
        *,
        container_id: str,
        runtime: str,
        spec: bytes,
        request: shim_pb2.CreateTaskRequest,
        shim: Shim | None = None,
        prepare: Prepare | None = None,
    ) -> int:
        """Make a bundle, start a shim and create the container in it; the pid. Leaves nothing after a failure.

        With ``shim``, that of the container's sandbox, none is started. ``prepare`` puts into the bundle what else must
        be there.
        """
        namespace = namespaces.current()
        key = (namespace, container_id)
        if key in self._tasks or key in self._creating:
            raise AlreadyExists(f"task {container_id}: already exists")
        self._creating[key] = asyncio.get_running_loop().create_future()
        # A caller that dies must not tear a creation in two: it is finished, and found by whoever asks next.
        return await self._undisturbed(
            self._create(
                key, runtime=runtime, spec=spec, request=request, shim=shim, prepare=prepare
            )
        )

    async def _create(
        self,
        key: tuple[str, str],
        *,
        runtime: str,
        spec: bytes,
        request: shim_pb2.CreateTaskRequest,
        shim: Shim | None,
        prepare: Prepare | None,
    ) -> int:
        namespace, container_id = key
        task = Task(namespace, container_id, os.path.join(self._root, namespace, container_id))
        try:
            make_bundle(task.bundle, spec)
            if prepare is not None:
                await prepare(task.bundle)
            options = request.options.SerializeToString() if request.HasField("options") else b""
            if shim is None:
                start = self._starter.start
                shim = await start(runtime, namespace, container_id, task.bundle, options)
            else:
                self._starter.join(task.bundle, shim)
            await self._connect(task, shim)
            request.bundle = task.bundle
            response = await task.call("Create", request, shim_pb2.CreateTaskResponse)
            task.load()
            self._tasks[key] = task
        except BaseException as error:
            # A shim that answers has cleaned up itself.
            answered = isinstance(error, EngineError) and task.client is not None
            await self._discard(task, clean=shim is not None and not answered)
            raise
        finally:
            self._creating.pop(key).set_result(None)
        return int(response.pid)

    async def delete(self, task: Task) -> shim_pb2.DeleteResponse:
        """Delete a stopped task, end its shim and remove its bundle."""
        return await self._undisturbed(self._delete(task))

    async def _delete(self, task: Task) -> shim_pb2.DeleteResponse:
        response, clean = None, False
        with contextlib.suppress(Unavailable):
            response = await task.call(
                "Delete", shim_pb2.DeleteRequest(id=task.container_id), shim_pb2.DeleteResponse
            )
        if response is None:
            if task.living:
                raise FailedPrecondition("cannot delete a running process: container is running")
            response, clean = task.recorded_exit(), True
        # Not findable any more: its end is no news to anybody.
        self._tasks.pop((task.namespace, task.container_id), None)
        await self._discard(task, clean=clean)
        return response

    async def _undisturbed(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return await asyncio.shield(self._begin(work))

    def _begin(self, work: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        # Retrieved here, because the one who would be told may be gone.
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, EngineError):
            logger.error("work on a task failed", exc_info=error)

    async def restore(self) -> None:
        """Find the tasks of an earlier life by their bundles; a shim that answers decides, else its records do."""
        await asyncio.gather(*(self._restore(*each) for each in self._bundles()))

    # -- a task whose shim may have died

    async def state(self, task: Task, exec_id: str) -> task_pb2.Process:
        """What is known about a process, from its shim or from its records."""
        changes = task.changes
        process = task_pb2.Process(container_id=task.container_id, id=exec_id or task.container_id)
        try:
            found = await task.call(
                "State",
                shim_pb2.StateRequest(id=task.container_id, exec_id=exec_id),
                shim_pb2.StateResponse,
            )
        except Unavailable:
            return self._state_without_shim(task, exec_id, process)
        process.pid, process.status = found.pid, found.status
        process.stdin, process.stdout, process.stderr = found.stdin, found.stdout, found.stderr
        process.terminal, process.exit_status = found.terminal, found.exit_status
        if found.HasField("exited_at"):
            process.exited_at.CopyFrom(found.exited_at)
        if not exec_id:
            task.saw(process, changes)
        return process

    async def states(self) -> Sequence[task_pb2.Process]:
        """The containers' own processes in the current namespace.

        A shim is asked only for what is not known to run: to wake a thousand of them takes a tenth of a second.
        """
        tasks = self.list()
        known = {id(task): task.running for task in tasks}
        asked = [task for task in tasks if known[id(task)] is None]
        answers = await asyncio.gather(
            *(self.state(task, "") for task in asked), return_exceptions=True
        )
        for task, answer in zip(asked, answers, strict=True):
            known[id(task)] = None if isinstance(answer, BaseException) else answer
        return [found for found in known.values() if found is not None]

    @staticmethod
    def _state_without_shim(
        task: Task, exec_id: str, process: task_pb2.Process
    ) -> task_pb2.Process:
        if not exec_id and task.living:
            process.pid = task.pid
            process.status = task_pb2.RUNNING
            return process
        record = task.recorded_exit(exec_id)
        process.pid, process.exit_status = record.pid, record.exit_status
        process.status = task_pb2.STOPPED
        process.exited_at.CopyFrom(record.exited_at)
        return process

    async def wait(self, task: Task, exec_id: str) -> shim_pb2.WaitResponse:
        """Wait for the end of a process, also over the death of its shim."""
        try:
            return await task.call(
                "Wait",
                shim_pb2.WaitRequest(id=task.container_id, exec_id=exec_id),
                shim_pb2.WaitResponse,
            )
        except Unavailable:
            if not exec_id:
                await task.ended()
        record = task.recorded_exit(exec_id)
        response = shim_pb2.WaitResponse(exit_status=record.exit_status)
        response.exited_at.CopyFrom(record.exited_at)
        return response

    async def kill(self, task: Task, request: shim_pb2.KillRequest) -> None:
        """Send a signal, without a shim to the container's own process; raises NotFound if it has ended."""
        from google.protobuf.empty_pb2 import Empty

        try:
            await task.call("Kill", request, Empty)
        except Unavailable:
            if request.exec_id:
                raise
            task.signal(request.signal)

    async def pids(self, task: Task) -> shim_pb2.PidsResponse:
        """All processes of the container."""
        try:
            return await task.call(
                "Pids", shim_pb2.PidsRequest(id=task.container_id), shim_pb2.PidsResponse
            )
        except Unavailable:
            response = shim_pb2.PidsResponse()
            for pid in task.pids():
                response.processes.add(pid=pid)
            return response

    # -- inside

    async def _connect(self, task: Task, shim: Shim) -> None:
        task.version = shim.version
        client = await Client.connect(shim.address)
        task.client = client
        client.on_close(lambda: self._shim_gone(task, client))

    def _shim_gone(self, task: Task, client: Client) -> None:
        if task.client is not client:
            return
        task.client = None
        if self._tasks.get((task.namespace, task.container_id)) is task:
            logger.warning(
                "shim died", extra={"namespace": task.namespace, "container": task.container_id}
            )
            if task.recovery is None or task.recovery.done():
                task.recovery = self._begin(self._recover(task))

    async def _recover(self, task: Task) -> None:
        """Another shim for a container whose shim has died; where that cannot be, its end is watched from here."""
        loop = asyncio.get_running_loop()
        # A shim that dies of what it finds must not be started in a tight circle.
        await asyncio.sleep(task.recovered_at + _BREATH - loop.time())
        task.recovered_at = loop.time()
        if task.living and not task.has_exit() and not task.foreign:
            try:
                shim = await self._starter.adopt(task.namespace, task.container_id, task.bundle)
                await self._connect(task, shim)
                assert task.client is not None
                await task.client.call(
                    f"containerd.task.v{task.version}.Task",
                    "State",
                    shim_pb2.StateRequest(id=task.container_id),
                    shim_pb2.StateResponse,
                    timeout=_PATIENCE,
                    metadata={namespaces.TTRPC_HEADER: task.namespace},
                )
                logger.info("container has another shim", extra={"container": task.container_id})
                return
            except EngineError as error:
                logger.warning(
                    "no other shim", extra={"container": task.container_id, "error": error.message}
                )
                client, task.client = task.client, None
                if client is not None:
                    client.close()
        watching = self._begin(self._watch_orphan(task))
        del watching

    async def _watch_orphan(self, task: Task) -> None:
        """Tell of the ends that a dead shim has recorded, and of the container's when it comes."""
        for exec_id in task.recorded_execs():
            self._publish_exit(task, exec_id)
        if not task.has_exit():
            await task.ended()
        if self._tasks.get((task.namespace, task.container_id)) is task and task.client is None:
            self._publish_exit(task, "")

    def _publish_exit(self, task: Task, exec_id: str) -> None:
        record = task.recorded_exit(exec_id)
        event = task_events.TaskExit(
            container_id=task.container_id,
            id=exec_id or task.container_id,
            pid=record.pid,
            exit_status=record.exit_status,
        )
        event.exited_at.CopyFrom(record.exited_at)
        with namespaces.bind(task.namespace):
            self._exchange.publish("/tasks/exit", event, at=record.exited_at)

    async def _discard(self, task: Task, *, clean: bool) -> None:
        """End the shim and remove the bundle; with ``clean`` the container, too, as a dead shim's delete does."""
        client, task.client = task.client, None
        if client is not None:
            await shut_down(client, task.version, task.namespace, task.container_id)
        if clean and os.path.isdir(task.bundle):
            await self._starter.clean(task.namespace, task.container_id, task.bundle)
        self._starter.forget(task.bundle)
        shutil.rmtree(task.bundle, ignore_errors=True)

    def _bundles(self) -> Iterator[tuple[str, str, str]]:
        with contextlib.suppress(FileNotFoundError):
            for namespace in os.listdir(self._root):
                for container_id in os.listdir(os.path.join(self._root, namespace)):
                    yield namespace, container_id, os.path.join(self._root, namespace, container_id)

    async def _restore(self, namespace: str, container_id: str, bundle: str) -> None:
        task = Task(namespace, container_id, bundle)
        try:
            task.load()
            self._starter.remember(bundle)
            if await self._is_task(task):
                self._tasks[namespace, container_id] = task
                if task.client is None:
                    logger.warning("task found without its shim", extra={"container": container_id})
                    task.recovery = self._begin(self._recover(task))
            else:
                await self._discard(task, clean=True)
        except (OSError, ValueError, EngineError):
            # One damaged bundle must not keep the others from being served.
            logger.exception("task not restored", extra={"container": container_id})

    async def _is_task(self, task: Task) -> bool:
        """Whether a bundle is that of a task; leaves it connected if its shim answers."""
        try:
            with open(f"{task.bundle}/address", encoding="utf-8") as file:
                address = file.read().strip().removeprefix("unix://")
            await self._connect(task, Shim(address=address, version=task.version))
            await task.call(
                "State",
                shim_pb2.StateRequest(id=task.container_id),
                shim_pb2.StateResponse,
                timeout=_PATIENCE,
            )
        except NotFound:
            # The shim lives and has no such container: a creation that was cut short, or a deletion.
            return False
        except DeadlineExceeded:
            # It hangs (somebody stopped it): it is asked again when somebody wants something.
            logger.warning("shim does not answer", extra={"container": task.container_id})
        except (OSError, EngineError):
            return task.living or task.has_exit()
        return True
