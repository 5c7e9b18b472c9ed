"""One task: its bundle, the connection to its shim, and what its files tell when the shim has gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal as signals
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from google.protobuf.message import Message

from wire import namespaces, pidfd
from wire.atomic import write_atomic
from wire.errors import InvalidArgument, NotFound, Unavailable
from wire.gen.containerd.types.task import task_pb2
from wire.gen.shim.task.v2 import shim_pb2
from wire.ttrpc.client import Client

logger = logging.getLogger(__name__)

KILLED: Final = 137
_SIGNAL_BASE: Final = 128
_CGROUPS: Final = "/sys/fs/cgroup"
# Asking these again of the next shim changes nothing; a signal is better sent twice than not at all.
_REPEATABLE: Final = frozenset({"State", "Wait", "Pids", "Stats", "Kill", "Connect"})
# After these a process that runs has another status.
_STOPPING: Final = frozenset({"Pause", "Resume", "Checkpoint"})
Reply = TypeVar("Reply", bound=Message)


@dataclass(eq=False, slots=True)
class Task:
    """One task; ``client`` is None while its shim is dead, ``recovery`` brings back another if that is possible."""

    namespace: str
    container_id: str
    bundle: str
    version: int = 2
    client: Client | None = None
    recovery: asyncio.Task[None] | None = None
    foreign: bool = False
    """Whether its shim is not ours."""
    pid: int = 0
    started: int = 0
    recovered_at: float = 0.0
    _seen: task_pb2.Process | None = None
    _changes: int = 0

    async def call(
        self, method: str, request: Message, reply: type[Reply], *, timeout: float | None = None
    ) -> Reply:
        """Call the shim, the next one if it dies and the call can be repeated; raises Unavailable if there is none."""
        if method in _STOPPING:
            with self._changing():
                return await self._call(method, request, reply, timeout)
        return await self._call(method, request, reply, timeout)

    async def _call(
        self, method: str, request: Message, reply: type[Reply], timeout: float | None
    ) -> Reply:
        while True:
            client = await self._connected()
            try:
                return await client.call(
                    f"containerd.task.v{self.version}.Task",
                    method,
                    request,
                    reply,
                    timeout=timeout,
                    metadata={namespaces.TTRPC_HEADER: self.namespace},
                )
            except Unavailable:
                if method not in _REPEATABLE or not client.closed.is_set():
                    raise

    async def _connected(self) -> Client:
        if self.client is None and self.recovery is not None:
            await asyncio.shield(self.recovery)
        if self.client is None:
            raise Unavailable(f"the shim of task {self.container_id} has died")
        return self.client

    # -- what the shim said last

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        self._forget()
        try:
            yield
        finally:
            self._forget()

    def _forget(self) -> None:
        self._seen = None
        self._changes += 1

    @property
    def changes(self) -> int:
        """How often the status of the container's own process was changed: an answer is older than a change during it."""
        return self._changes

    def saw(self, process: task_pb2.Process, changes: int) -> None:
        """Keep what the shim says of the container's own process, asked when there were so many changes."""
        if process.status == task_pb2.RUNNING and changes == self._changes:
            self._seen = process

    @property
    def running(self) -> task_pb2.Process | None:
        """The container's own process, if it was running when the shim was asked and nothing has happened to it since."""
        return self._seen if self._seen is not None and self.living else None

    # -- without a shim

    def load(self) -> None:
        """Read what the bundle tells: the container's process, and whose shim it is."""
        with contextlib.suppress(OSError, ValueError), open(f"{self.bundle}/init.pid") as file:
            self.pid = int(file.read())
        self.foreign = os.path.exists(f"{self.bundle}/shim-binary-path")
        with (
            contextlib.suppress(OSError, ValueError, KeyError, TypeError),
            open(f"{self.bundle}/bootstrap.json", encoding="utf-8") as file,
        ):
            self.version = int(json.load(file)["version"])
        if self.pid and self._is_ours(self.pid):
            self.started = pidfd.start_time(self.pid)

    def _is_ours(self, pid: int) -> bool:
        with (
            contextlib.suppress(OSError),
            open(f"/proc/{pid}/cgroup", encoding="utf-8", errors="replace") as file,
        ):
            return self.container_id in file.read()
        return False

    def open_process(self) -> int | None:
        """A pidfd of the container's own process; None if it has ended."""
        return pidfd.open_same(self.pid, self.started) if self.pid else None

    @property
    def living(self) -> bool:
        """Whether the container's own process runs."""
        return self.pid > 0 and self.started > 0 and pidfd.start_time(self.pid) == self.started

    def has_exit(self, exec_id: str = "") -> bool:
        """Whether the end of a process is recorded."""
        return os.path.exists(self._exit_path(exec_id))

    def recorded_exit(self, exec_id: str = "") -> shim_pb2.DeleteResponse:
        """How a process ended, from its record; 137 for one whose end nobody saw."""
        response = shim_pb2.DeleteResponse()
        try:
            with open(self._exit_path(exec_id), "rb") as file:
                record = json.load(file)
            response.pid = record["pid"]
            response.exit_status = record["exit_status"]
            response.exited_at.FromNanoseconds(record["exited_at_ns"])
        except (OSError, ValueError, KeyError):
            response.pid = 0 if exec_id else self.pid
            response.exit_status = KILLED
            response.exited_at.FromNanoseconds(time.time_ns())
        return response

    def recorded_execs(self) -> list[str]:
        """The execs whose ends are recorded."""
        with contextlib.suppress(FileNotFoundError):
            return [
                name.removeprefix("exec-").removesuffix(".exit.json")
                for name in os.listdir(self.bundle)
                if name.startswith("exec-") and name.endswith(".exit.json")
            ]
        return []

    def _exit_path(self, exec_id: str) -> str:
        name = f"exec-{exec_id}.exit.json" if exec_id else "exit.json"
        return f"{self.bundle}/{name}"

    async def ended(self) -> None:
        """Wait for the end of the container's own process, which is not our child, and record it."""
        descriptor = self.open_process()
        status: int | None = None
        if descriptor is not None:
            try:
                await _hung_up(descriptor)
                status = _status(descriptor)
            finally:
                os.close(descriptor)
        if self.has_exit():
            return
        document = {
            "pid": self.pid,
            "exit_status": KILLED if status is None else status,
            "exited_at_ns": time.time_ns(),
            "oom_killed": False,
        }
        with contextlib.suppress(OSError):
            write_atomic(self._exit_path(""), json.dumps(document).encode())

    def signal(self, number: int) -> None:
        """Signal the container's own process; raises NotFound if it has ended, InvalidArgument for a wrong number."""
        descriptor = self.open_process()
        if descriptor is None:
            raise NotFound("process already finished: not found")
        try:
            signals.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            raise NotFound("process already finished: not found") from None
        except OSError as error:
            raise InvalidArgument(f"signal {number}: {error.strerror}") from error
        finally:
            os.close(descriptor)

    def pids(self) -> list[int]:
        """All processes, as a cgroup of the container's process knows them."""
        with contextlib.suppress(OSError):
            with open(f"/proc/{self.pid}/cgroup", encoding="utf-8") as file:
                lines = file.read().splitlines()
            for line in lines:
                _, controllers, path = line.split(":", 2)
                directory = f"{_CGROUPS}/{controllers}{path}" if controllers else _CGROUPS + path
                with contextlib.suppress(OSError), open(f"{directory}/cgroup.procs") as file:
                    return [int(word) for word in file.read().split() if word != "0"]
        return []


def _status(descriptor: int) -> int | None:
    try:
        status = pidfd.exit_status(descriptor)
    except BlockingIOError:
        return None
    if status is None:
        return None
    code = os.waitstatus_to_exitcode(status)
    return _SIGNAL_BASE - code if code < 0 else code


async def _hung_up(descriptor: int) -> None:
    """Wait until a process has ended and was reaped, as far as this kernel tells of the second."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
    for pause in (0.0, 0.01, 0.05, 0.2):
        # Whoever inherited it reaps it within moments; asyncio cannot wait for a hang-up alone.
        await asyncio.sleep(pause)
        try:
            pidfd.exit_status(descriptor)
        except BlockingIOError:
            continue
        return
