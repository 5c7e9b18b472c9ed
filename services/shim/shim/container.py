"""One container: its own process and its execs, and the runtime calls that change them."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import socket

from shim import linux
from shim.cgroups import usage
from shim.process import Phase, Process
from shim.runtime_cli import RuntimeCli
from shim.stdio import uri
from shim.stdio.attach import AttachListener
from shim.stdio.streams import Streams, receive_terminal
from wire.errors import (
    AlreadyExists,
    EngineError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from shim.exits import Exit, Exits
    from shim.loop import Future, Loop
    from shim.options import Options
    from wire.codec import Message

    OnExit = Callable[[Process], None]


class Container:
    """A container whose ``create`` has been asked for."""

    def __init__(
        self,
        loop: Loop,
        exits: Exits,
        *,
        container_id: str,
        bundle: str,
        options: Options,
        socket_dir: str,
        on_exit: OnExit,
    ) -> None:
        self._loop = loop
        self._exits = exits
        self.container_id = container_id
        self.bundle = bundle
        self._options = options
        self._runtime = RuntimeCli(exits, options, bundle, container_id)
        self._socket_dir = socket_dir
        self._on_exit = on_exit
        self._numbers = itertools.count()
        self._attach: AttachListener | None = None
        self._mounted = False
        self._starting = False
        self._early: Exit | None = None
        self.paused = False
        self.init: Process | None = None
        self.execs: dict[str, Process] = {}
        self._groups = usage.Groups()

    # -- the container's own process

    async def create(
        self,
        *,
        rootfs: list[tuple[str, str, list[str]]],
        terminal: bool,
        stdin: str,
        stdout: str,
        stderr: str,
    ) -> int:
        """Mount the rootfs, open the streams and create; the pid. Leaves nothing after a failure."""
        self._mount(rootfs)
        try:
            process = self._new_process(
                "", terminal=terminal, stdin=stdin, stdout=stdout, stderr=stderr
            )
            if process.streams.attach_path:
                self._attach = AttachListener(
                    self._loop, process.streams.attach_path, self._streams_of
                )
            self.init = process
            flags = ["--bundle", self.bundle, "--pid-file", f"{self.bundle}/init.pid"]
            if self._options.no_pivot_root:
                flags.append("--no-pivot")
            if self._options.no_new_keyring:
                flags.append("--no-new-keyring")
            await self._launch(process, "create", flags, f"{self.bundle}/init.pid")
        except BaseException:
            self.init = None
            self.close()
            self._unmount()
            raise
        process.phase = Phase.CREATED
        self._groups = usage.find(process.pid)
        return process.pid

    def _mount(self, rootfs: list[tuple[str, str, list[str]]]) -> None:
        target = f"{self.bundle}/rootfs"
        if rootfs:
            os.makedirs(target, mode=0o711, exist_ok=True)
        for kind, source, options in rootfs:
            try:
                linux.mount(source, target, kind, options)
            except OSError as error:
                self._unmount()
                raise FailedPrecondition(f"failed to mount rootfs component: {error}") from error
            self._mounted = True

    def _unmount(self) -> None:
        if self._mounted:
            linux.unmount_all(f"{self.bundle}/rootfs")
            self._mounted = False

    async def start(self) -> int:
        """Let the created process run; its pid."""
        process = self.process("")
        if process.phase is not Phase.CREATED:
            raise FailedPrecondition(f"cannot start a container in the {process.phase} state")
        self._starting = True
        try:
            await self._runtime.run("start")
        finally:
            self._starting = False
            if self._early is not None:
                # It was over before the runtime was. In the next round, as below.
                early, self._early = self._early, None
                self._loop.soon(lambda: self._ended(process, early))
        if process.phase is Phase.CREATED:
            process.phase = Phase.RUNNING
        return process.pid

    # -- execs

    def add_exec(
        self, exec_id: str, *, terminal: bool, stdin: str, stdout: str, stderr: str, spec: bytes
    ) -> None:
        """Remember an exec; clients can attach to it from now on."""
        if exec_id in self.execs:
            raise AlreadyExists(f"id {exec_id}: already exists")
        self._running()
        process = self._new_process(
            exec_id, terminal=terminal, stdin=stdin, stdout=stdout, stderr=stderr
        )
        process.spec = spec
        self.execs[exec_id] = process

    async def start_exec(self, exec_id: str) -> int:
        """Start an exec; its pid."""
        process = self.process(exec_id)
        if process.phase is not Phase.ADDED:
            raise FailedPrecondition(f"cannot start a process in the {process.phase} state")
        path = f"{self.bundle}/exec-{exec_id}"
        try:
            document = json.loads(process.spec)
            document["terminal"] = process.terminal
            with open(f"{path}.json", "w", encoding="utf-8") as file:
                json.dump(document, file)
        except (ValueError, TypeError) as error:
            raise InvalidArgument(f"exec spec is malformed: {error}") from error
        flags = ["--process", f"{path}.json", "--pid-file", f"{path}.pid", "--detach"]
        process.phase = Phase.CREATED
        try:
            await self._launch(process, "exec", flags, f"{path}.pid")
        except BaseException as error:
            process.phase = Phase.STOPPED
            if isinstance(error, EngineError):
                # The client of an exec has its answer's head already: the stream is where it learns why.
                process.streams.tell(f"{error.message}: unknown\r\n")
            # Nobody waits for a process that never was. What the runtime wrote to its pipes, we have said already.
            process.streams.abandon()
            raise
        finally:
            for suffix in ("json", "pid"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{path}.{suffix}")
        if process.phase is Phase.CREATED:
            process.phase = Phase.RUNNING
        return process.pid

    # -- both

    def process(self, exec_id: str) -> Process:
        """The init process for an empty id, else an exec; raises NotFound."""
        found = self.execs.get(exec_id) if exec_id else self.init
        if found is None:
            raise NotFound(
                f"process {exec_id}: not found"
                if exec_id
                else "container must be created: not found"
            )
        return found

    def _running(self) -> Process:
        process = self.process("")
        if process.phase is not Phase.RUNNING:
            raise FailedPrecondition("cannot exec in a stopped container: container not running")
        return process

    def _new_process(
        self, exec_id: str, *, terminal: bool, stdin: str, stdout: str, stderr: str
    ) -> Process:
        streams = Streams(
            self._loop,
            terminal=terminal,
            stdin=uri.parse(stdin),
            stdout=uri.parse(stdout),
            stderr=uri.parse(stderr),
        )
        return Process(
            exec_id=exec_id,
            bundle=self.bundle,
            terminal=terminal,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            streams=streams,
        )

    def _streams_of(self, exec_id: str) -> Streams:
        return self.process(exec_id).streams

    async def _launch(self, process: Process, verb: str, flags: list[str], pid_file: str) -> None:
        """Run the runtime's create or exec and take the new process into our care."""
        console: socket.socket | None = None
        path = f"{self._socket_dir}/c{os.getpid()}-{next(self._numbers)}"
        self._exits.expect()
        try:
            if process.terminal:
                console = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
                console.bind(path)
                console.listen(1)
                await self._runtime.run(verb, *flags, "--console-socket", path)
                # The runtime has returned, so its message waits in the backlog.
                connection, _ = console.accept()
                process.streams.use_terminal(receive_terminal(connection))
            else:
                await self._runtime.run(verb, *flags, stdio=process.streams.pipes())
                process.streams.given_away()
            with open(pid_file, encoding="ascii") as file:
                process.pid = int(file.read())
            exited = self._exits.claim(process.pid)
        except BaseException:
            if not process.exec_id:
                process.streams.abandon()
            raise
        finally:
            self._exits.expected()
            if console is not None:
                console.close()
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        # In the next round, so that the start is known to the world before the end.
        exited.then(lambda: self._loop.soon(lambda: self._ended(process, exited.result())))

    def _ended(self, process: Process, ended: Exit) -> None:
        if self._starting and not process.exec_id:
            self._early = ended
            return
        process.phase = Phase.STOPPED
        if not process.exec_id:
            process.oom_killed = usage.oom_kills(self._groups) > 0
        process.record_exit(ended)
        self._on_exit(process)
        process.streams.finish()
        process.exited.set(ended)

    async def delete(self, exec_id: str) -> Process:
        """Remove what has stopped: the container itself, or one exec."""
        process = self.process(exec_id)
        if exec_id:
            if process.phase in {Phase.RUNNING, Phase.CREATED}:
                raise FailedPrecondition(f"process {exec_id} is still running")
            if process.phase is Phase.ADDED:
                process.streams.abandon()
            del self.execs[exec_id]
            process.forget_record()
            return process
        if process.phase is Phase.RUNNING:
            raise FailedPrecondition("cannot delete a running process: container is running")
        if process.phase is Phase.CREATED:
            # Created and never started: nothing of it ran, so it may simply go.
            await self._runtime.run("delete", "--force")
            await process.exited
        else:
            with contextlib.suppress(NotFound):
                await self._runtime.run("delete")
        self._unmount()
        self.close()
        return process

    async def destroy(self) -> None:
        """Remove the container whatever it does: nobody will ask for it any more."""
        with contextlib.suppress(EngineError):
            await self._runtime.run("delete", "--force")
        self._unmount()
        self.close()

    async def kill(self, exec_id: str, signal: int, *, everything: bool) -> None:
        """Send a signal; raises NotFound if the process has ended."""
        process = self.process(exec_id)
        if process.phase is Phase.ADDED:
            raise FailedPrecondition("process not created")
        if process.phase is Phase.STOPPED:
            raise NotFound("process already finished: not found")
        if exec_id:
            self._signal(process, signal)
            return
        flags = ("--all",) if everything else ()
        if not everything and not self.paused:
            # What the runtime would do, without running it: the process is our child, so its pid cannot be another's.
            self._signal(process, signal)
            return
        await self._runtime.run("kill", *flags, after=(str(signal),))

    def _signal(self, process: Process, signal: int) -> None:
        try:
            os.kill(process.pid, signal)
        except ProcessLookupError:
            raise NotFound("process already finished: not found") from None
        except OSError as error:
            raise InvalidArgument(f"signal {signal}: {error.strerror}") from error

    async def pause(self, *, paused: bool) -> None:
        """Freeze or thaw."""
        if self.process("").phase is not Phase.RUNNING:
            raise FailedPrecondition("container not running")
        await self._runtime.run("pause" if paused else "resume")
        self.paused = paused

    async def update(self, resources: bytes) -> None:
        """Change limits: LinuxResources as JSON."""
        path = f"{self.bundle}/resources.json"
        with open(path, "wb") as file:
            file.write(resources)
        try:
            await self._runtime.run("update", "--resources", path)
        finally:
            os.unlink(path)

    def pids(self) -> list[int]:
        """All processes of the container, as the cgroup knows them."""
        text = self._groups.read("devices", "cgroup.procs") or self._groups.read(
            "pids", "cgroup.procs"
        )
        return [int(word) for word in text.split() if word != "0"]

    def metrics(self) -> Message:
        """Usage of memory, processor and more."""
        return usage.metrics(self._groups)

    def wait(self, exec_id: str) -> Future[Exit]:
        """The end of a process; complete at once if it has ended."""
        return self.process(exec_id).exited

    def close(self) -> None:
        """Take the attach socket away; what is copied still is copied."""
        if self._attach is not None:
            self._attach.close()
            self._attach = None


def decode_mounts(mounts: Any) -> list[tuple[str, str, list[str]]]:
    """Type, source and options of each Mount message."""
    return [(mount.type, mount.source, list(mount.options)) for mount in mounts]
