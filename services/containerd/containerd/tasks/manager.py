"""The running containers: bundles, shims, and what is known of tasks whose shim has gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import time
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from containerd.events.exchange import Exchange
from containerd.tasks.shim_process import ShimStarter
from wire import namespaces
from wire.atomic import write_atomic
from wire.errors import AlreadyExists, EngineError, NotFound, Unavailable
from wire.gen.containerd.events import task_pb2 as task_events
from wire.gen.containerd.types.task import task_pb2
from wire.gen.shim.task.v2 import shim_pb2
from wire.ttrpc.client import Client

logger = logging.getLogger(__name__)

_SERVICE: Final = "containerd.task.v2.Task"
_KILLED: Final = 137
Reply = TypeVar("Reply", bound=Message)
_Result = TypeVar("_Result")


@dataclass(eq=False, slots=True)
class Task:
    """One task; ``client`` is None once its shim has died."""

    namespace: str
    container_id: str
    bundle: str
    client: Client | None = None
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(self, method: str, request: Message, reply: type[Reply]) -> Reply:
        """Call the shim; raises Unavailable if it has died."""
        if self.client is None:
            raise Unavailable(f"the shim of task {self.container_id} has died")
        return await self.client.call(
            _SERVICE, method, request, reply, metadata={namespaces.TTRPC_HEADER: self.namespace}
        )


class TaskManager:
    """Creates tasks and finds them again."""

    def __init__(self, state: str, starter: ShimStarter, exchange: Exchange) -> None:
        self._root = os.path.join(state, "io.containerd.runtime.v2.task")
        self._starter = starter
        self._exchange = exchange
        self._tasks: dict[tuple[str, str], Task] = {}
        self._creating: set[tuple[str, str]] = set()
        self._background: set[asyncio.Task[Any]] = set()

    def get(self, container_id: str) -> Task:
        """A task of the current namespace; raises NotFound."""
        found = self._tasks.get((namespaces.current(), container_id))
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
        group: str,
        request: shim_pb2.CreateTaskRequest,
    ) -> int:
        """Make a bundle, start a shim and create the container in it; the pid. Leaves nothing after a failure."""
        namespace = namespaces.current()
        key = (namespace, container_id)
        if key in self._tasks or key in self._creating:
            raise AlreadyExists(f"task {container_id}: already exists")
        self._creating.add(key)
        # A caller that dies must not tear a creation in two: it is finished, and found by whoever asks next.
        return await self._undisturbed(
            self._create(key, runtime=runtime, spec=spec, group=group, request=request)
        )

    async def _create(
        self,
        key: tuple[str, str],
        *,
        runtime: str,
        spec: bytes,
        group: str,
        request: shim_pb2.CreateTaskRequest,
    ) -> int:
        namespace, container_id = key
        bundle = os.path.join(self._root, namespace, container_id)
        task = Task(namespace, container_id, bundle)
        try:
            self._make_bundle(bundle, spec)
            options = request.options.SerializeToString() if request.HasField("options") else b""
            address = await self._starter.start(
                runtime, namespace, container_id, bundle, group, options
            )
            self._remember_address(bundle, address)
            await self._connect(task, address)
            request.bundle = bundle
            response = await task.call("Create", request, shim_pb2.CreateTaskResponse)
        except BaseException:
            await self._discard(task)
            raise
        finally:
            self._creating.discard(key)
        self._tasks[key] = task
        return int(response.pid)

    async def delete(self, task: Task) -> shim_pb2.DeleteResponse:
        """Delete a stopped task, end its shim and remove its bundle."""
        return await self._undisturbed(self._delete(task))

    async def _delete(self, task: Task) -> shim_pb2.DeleteResponse:
        if task.client is None:
            response = self._recorded(task, "")
            await self._cleanup(task)
        else:
            response = await task.call(
                "Delete", shim_pb2.DeleteRequest(id=task.container_id), shim_pb2.DeleteResponse
            )
        await self._discard(task)
        self._tasks.pop((task.namespace, task.container_id), None)
        return response

    async def _undisturbed(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        # Retrieved here, because the one who would be told may be gone.
        if not task.cancelled():
            task.exception()

    async def restore(self) -> None:
        """Find the tasks of an earlier life by their bundles; a shim that answers decides, else its records do."""
        await asyncio.gather(*(self._restore(*each) for each in self._bundles()))

    # -- a task whose shim died

    async def state(self, task: Task, exec_id: str) -> task_pb2.Process:
        """What is known about a process, from its shim or from its records."""
        if task.client is not None:
            with contextlib.suppress(Unavailable):
                found = await task.call(
                    "State",
                    shim_pb2.StateRequest(id=task.container_id, exec_id=exec_id),
                    shim_pb2.StateResponse,
                )
                process = task_pb2.Process(
                    container_id=task.container_id,
                    id=exec_id or task.container_id,
                    pid=found.pid,
                    status=found.status,
                    stdin=found.stdin,
                    stdout=found.stdout,
                    stderr=found.stderr,
                    terminal=found.terminal,
                    exit_status=found.exit_status,
                )
                if found.HasField("exited_at"):
                    process.exited_at.CopyFrom(found.exited_at)
                return process
        pid = self._living_pid(task)
        process = task_pb2.Process(container_id=task.container_id, id=exec_id or task.container_id)
        if pid and not exec_id:
            process.pid = pid
            process.status = task_pb2.RUNNING
            return process
        record = self._recorded(task, exec_id)
        process.pid = record.pid
        process.status = task_pb2.STOPPED
        process.exit_status = record.exit_status
        process.exited_at.CopyFrom(record.exited_at)
        return process

    async def wait(self, task: Task, exec_id: str) -> shim_pb2.WaitResponse:
        """Wait for the end of a process, also over the death of its shim."""
        if task.client is not None:
            with contextlib.suppress(Unavailable):
                return await task.call(
                    "Wait",
                    shim_pb2.WaitRequest(id=task.container_id, exec_id=exec_id),
                    shim_pb2.WaitResponse,
                )
        pid = 0 if exec_id else self._living_pid(task)
        if pid:
            await _ended(pid)
        record = self._recorded(task, exec_id)
        response = shim_pb2.WaitResponse(exit_status=record.exit_status)
        response.exited_at.CopyFrom(record.exited_at)
        return response

    def _recorded(self, task: Task, exec_id: str) -> shim_pb2.DeleteResponse:
        name = f"exec-{exec_id}.exit.json" if exec_id else "exit.json"
        response = shim_pb2.DeleteResponse()
        try:
            with open(f"{task.bundle}/{name}", "rb") as file:
                record = json.load(file)
            response.pid = record["pid"]
            response.exit_status = record["exit_status"]
            response.exited_at.FromNanoseconds(record["exited_at_ns"])
        except (OSError, ValueError, KeyError):
            # The shim died before the process: nobody saw its status.
            response.exit_status = _KILLED
            response.exited_at.FromNanoseconds(time.time_ns())
        return response

    @staticmethod
    def _living_pid(task: Task) -> int:
        try:
            with open(f"{task.bundle}/init.pid", encoding="ascii") as file:
                pid = int(file.read())
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                state = file.read().rpartition(")")[2].split()[0]
            with open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file:
                ours = task.container_id in file.read()
        except (OSError, ValueError, IndexError):
            return 0
        return pid if ours and state not in {"Z", "X"} else 0

    # -- inside

    def _make_bundle(self, bundle: str, spec: bytes) -> None:
        os.makedirs(os.path.dirname(bundle), mode=0o711, exist_ok=True)
        # Of a creation that was cut short; no task has this id.
        shutil.rmtree(bundle, ignore_errors=True)
        os.mkdir(bundle, 0o711)
        with open(f"{bundle}/config.json", "wb") as file:
            file.write(spec)

    @staticmethod
    def _remember_address(bundle: str, address: str) -> None:
        if not os.path.exists(f"{bundle}/address"):
            write_atomic(f"{bundle}/address", f"unix://{address}".encode(), 0o644)

    async def _connect(self, task: Task, address: str) -> None:
        client = await Client.connect(address)
        task.client = client
        client.on_close(lambda: self._shim_gone(task))

    def _shim_gone(self, task: Task) -> None:
        task.client = None
        task.lost.set()
        key = (task.namespace, task.container_id)
        if self._tasks.get(key) is task:
            logger.warning(
                "shim died", extra={"namespace": task.namespace, "container": task.container_id}
            )
            watcher = asyncio.get_running_loop().create_task(self._watch_orphan(task))
            watcher.add_done_callback(lambda _: None)

    async def _watch_orphan(self, task: Task) -> None:
        """Report the end of a container whose shim died, when it comes."""
        if os.path.exists(f"{task.bundle}/exit.json"):
            return
        response = await self.wait(task, "")
        if self._tasks.get((task.namespace, task.container_id)) is not task:
            return
        event = task_events.TaskExit(
            container_id=task.container_id,
            id=task.container_id,
            exit_status=response.exit_status,
        )
        event.exited_at.CopyFrom(response.exited_at)
        with namespaces.bind(task.namespace):
            self._exchange.publish("/tasks/exit", event)

    async def _cleanup(self, task: Task) -> None:
        """What the dead shim's delete would do."""
        process = await asyncio.create_subprocess_exec(
            self._starter.program_of(task.bundle),
            *("-namespace", task.namespace, "-id", task.container_id, "-bundle", task.bundle),
            "delete",
            cwd=task.bundle,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await process.wait()

    async def _discard(self, task: Task) -> None:
        client, task.client = task.client, None
        if client is not None:
            with contextlib.suppress(EngineError):
                await client.call(
                    _SERVICE,
                    "Shutdown",
                    shim_pb2.ShutdownRequest(id=task.container_id, now=True),
                    shim_pb2.WaitResponse,
                    timeout=5,
                    metadata={namespaces.TTRPC_HEADER: task.namespace},
                )
            client.close()
        self._starter.forget(task.bundle)
        shutil.rmtree(task.bundle, ignore_errors=True)

    def _bundles(self) -> Iterator[tuple[str, str, str]]:
        with contextlib.suppress(FileNotFoundError):
            for namespace in os.listdir(self._root):
                for container_id in os.listdir(os.path.join(self._root, namespace)):
                    yield namespace, container_id, os.path.join(self._root, namespace, container_id)

    async def _restore(self, namespace: str, container_id: str, bundle: str) -> None:
        task = Task(namespace, container_id, bundle)
        self._starter.remember(bundle)
        try:
            with open(f"{bundle}/address", encoding="utf-8") as file:
                address = file.read().strip().removeprefix("unix://")
            await self._connect(task, address)
            with namespaces.bind(namespace):
                await task.call(
                    "State", shim_pb2.StateRequest(id=container_id), shim_pb2.StateResponse
                )
        except NotFound:
            # The shim lives and has no such container: a creation that was cut short.
            await self._discard(task)
            return
        except (OSError, EngineError):
            if not self._living_pid(task) and not os.path.exists(f"{bundle}/exit.json"):
                await self._cleanup(task)
                await self._discard(task)
                return
            logger.warning("task found without its shim", extra={"container": container_id})
        self._tasks[namespace, container_id] = task
        if task.client is None:
            self._shim_gone(task)


async def _ended(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
