"""Running a command in a container for the daemon's own ends: its status and the beginning of its output."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
from typing import Final

from dockerd.containerd_client.tasks import Exited, Tasks
from dockerd.containers.announce import Announcer
from dockerd.containers.health import ProbeResult
from dockerd.containers.model import Container, now
from dockerd.containers.rootfs import RootFilesystems
from dockerd.spec import process
from wire.errors import EngineError

_LONGEST_OUTPUT: Final = 4096
_CHUNK: Final = 1 << 16
_START_PATIENCE: Final = 30.0
_DRAIN_PATIENCE: Final = 1.0
_LOST: Final = 137


class _Output:
    """Reads a FIFO to its end and keeps the beginning."""

    def __init__(self, path: str) -> None:
        os.mkfifo(path, 0o600)
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        # Without a writer a FIFO is at its end all the time: we are one until the process has started.
        self._writer = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._kept = bytearray()
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._ended.set()
            return
        self._kept += data[: _LONGEST_OUTPUT - len(self._kept)]

    def started(self) -> None:
        """The process writes now."""
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1

    async def text(self) -> str:
        """What was written, once every writer is gone (or after a moment)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_PATIENCE):
                await self._ended.wait()
        return self._kept.decode(errors="replace")

    def close(self) -> None:
        """Nobody reads any more."""
        self.started()
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


class ProbeRunner:
    """Runs probes; each is an exec that no client knows."""

    def __init__(self, tasks: Tasks, rootfs: RootFilesystems, announcer: Announcer) -> None:
        self._tasks = tasks
        self._rootfs = rootfs
        self._announcer = announcer
        self._ends: dict[str, tuple[str, asyncio.Future[int]]] = {}

    async def run(self, container: Container, command: list[str], timeout: float) -> ProbeResult:
        """Run the command for at most ``timeout`` seconds; never raises EngineError."""
        start = now()
        exec_id = secrets.token_hex(32)
        try:
            code, output = await self._run(container, exec_id, command, timeout)
        except (EngineError, OSError, TimeoutError) as error:
            code, output = -1, str(error) or "timed out starting health check"
        finally:
            self._ends.pop(exec_id, None)
        return ProbeResult(start=start, end=now(), exit_code=code, output=output)

    async def _run(
        self, container: Container, exec_id: str, command: list[str], timeout: float
    ) -> tuple[int, str]:
        container_id = container.container_id
        path = f"{container.directory}/probe-{exec_id[:16]}"
        output = _Output(path)
        ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._ends[exec_id] = (container_id, ended)
        try:
            async with asyncio.timeout(_START_PATIENCE):
                await self._start(container, exec_id, command, path)
            output.started()
            # Not asyncio.timeout: that would cancel the future, and it is still needed.
            await asyncio.wait({ended}, timeout=timeout)
            if ended.done():
                return ended.result(), await output.text()
            await self._kill(container_id, exec_id)
            await asyncio.wait({ended}, timeout=_START_PATIENCE)
            said = await output.text()
            text = f"Health check exceeded timeout ({_go_duration(timeout)})"
            return -1, f"{text}: {said}" if said else text
        except asyncio.CancelledError:
            # The container stops, or is paused: dying probes must not pile up.
            await asyncio.shield(self._kill(container_id, exec_id))
            raise
        finally:
            output.close()
            with contextlib.suppress(EngineError):
                await asyncio.shield(self._tasks.delete_exec(container_id, exec_id))

    async def _start(
        self, container: Container, exec_id: str, command: list[str], path: str
    ) -> None:
        config = container.config
        document = process.document(
            args=command,
            env=process.environment(config, config.get("Hostname") or ""),
            cwd=config.get("WorkingDir") or "/",
            user=config.get("User") or "",
            groups=container.host.get("GroupAdd") or [],
            terminal=False,
            host=container.host,
            rootfs=self._rootfs.path(container),
            privileged=bool(container.host.get("Privileged")),
        )
        words = " ".join(command)
        self._announcer.say(container, f"exec_create: {words}", {"execID": exec_id})
        await self._tasks.add_exec(
            container.container_id,
            exec_id,
            document,
            stdin="",
            output=f"fifo://{path}",
            terminal=False,
        )
        self._announcer.say(container, f"exec_start: {words}", {"execID": exec_id})
        await self._tasks.start(container.container_id, exec_id)

    async def _kill(self, container_id: str, exec_id: str) -> None:
        with contextlib.suppress(EngineError):
            await self._tasks.kill(container_id, signal.SIGKILL, exec_id=exec_id)

    def exited(self, exec_id: str, ended: Exited) -> bool:
        """An exec has ended; whether it was one of ours."""
        found = self._ends.get(exec_id)
        if found is None:
            return False
        if not found[1].done():
            found[1].set_result(ended.status)
        return True

    async def reconcile(self) -> None:
        """Learn of ends that were missed while containerd was away."""
        for exec_id, (container_id, future) in tuple(self._ends.items()):
            state = await self._tasks.state(container_id, exec_id)
            if not future.done() and (state is None or state.exited is not None):
                status = state.exited.status if state is not None and state.exited else _LOST
                future.set_result(status)


def _go_duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes:g}m{rest:g}s" if minutes else f"{rest:g}s"
