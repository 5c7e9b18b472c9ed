"""One container: its own process and its execs, and the runtime calls that change them."""

from __future__ import annotations

import contextlib
import json
import os
import signal as signals

from shim import checkpoint, linux, log, record
from shim.cgroups import usage
from shim.cgroups.oom import OomWatch
from shim.exits import Exits
from shim.launch import Launcher
from shim.loop import Future, Lock
from shim.process import Phase, Process
from shim.runtime_cli import RuntimeCli
from shim.stdio import uri
from shim.stdio.attach import AttachListener
from shim.stdio.streams import Streams
from shim.succession import Refusal
from wire import pidfd
from wire.errors import (
    AlreadyExists,
    EngineError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Final

    from shim.exits import Exit
    from shim.loop import Loop
    from shim.options import Options
    from wire.codec import Message

    OnExit = Callable[[Process], None]
    Mounts = list[tuple[str, str, list[str]]]


_LONGEST_NAME: Final = 76


class Container:
    """A container whose ``create`` has been asked for.

    What changes its existence (create, start, delete) takes turns: a delete that comes while a creation is under way,
    asked for by a daemon that has died since, finds it finished.
    """

    def __init__(
        self,
        loop: Loop,
        exits: Exits,
        *,
        container_id: str,
        namespace: str,
        bundle: str,
        options: Options,
        socket_dir: str,
        socket: str,
        on_exit: OnExit,
        on_oom: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._exits = exits
        self.container_id = container_id
        self.bundle = bundle
        self._owner = (container_id, namespace)
        self._options = options
        self._runtime = RuntimeCli(exits, options, bundle, container_id)
        self._launcher = Launcher(exits, self._runtime, socket_dir)
        self._socket = socket
        self._on_exit = on_exit
        self._on_oom = on_oom
        self._turn = Lock()
        self._attach: AttachListener | None = None
        self._mounted = False
        self.paused = False
        self.init: Process | None = None
        self.execs: dict[str, Process] = {}
        self._groups = usage.Groups()
        self._oom: OomWatch | None = None
        self._images: checkpoint.Images | None = None

    # -- the container's own process

    async def create(
        self,
        *,
        rootfs: Mounts,
        terminal: bool,
        stdin: str,
        stdout: str,
        stderr: str,
        images: checkpoint.Images | None = None,
    ) -> Process:
        """Mount the rootfs, open the streams and create. Leaves nothing after a failure.

        With ``images`` there is no process until ``start`` brings back theirs.
        """
        async with self._turn:
            try:
                self._mount(rootfs)
                process = self._new_process(
                    "", terminal=terminal, stdin=stdin, stdout=stdout, stderr=stderr
                )
                self._listen(process)
                self.init = process
                # Which runtime has it, for whoever must clean up if this is cut short.
                self._remember()
                if images is not None:
                    self._images = images
                    process.phase = Phase.CREATED
                    return process
                flags = ["--bundle", self.bundle]
                if self._options.no_pivot_root:
                    flags.append("--no-pivot")
                if self._options.no_new_keyring:
                    flags.append("--no-new-keyring")
                exited = await self._launcher.launch(
                    process, "create", flags, f"{self.bundle}/init.pid"
                )
            except BaseException:
                if self.init is not None:
                    self.init.streams.abandon()
                self.init = None
                self._leave()
                raise
            process.phase = Phase.CREATED
            self._observe(process)
            self._remember()
            self._follow(process, exited)
            return process

    def _listen(self, process: Process, listener: int = -1) -> None:
        if process.streams.attach_path:
            self._attach = AttachListener(
                self._loop,
                process.streams.attach_path,
                lambda name: self.process(name).streams,
                listener,
            )

    def _observe(
        self,
        process: Process,
        groups: usage.Groups | None = None,
        handed: tuple[int, list[int]] | None = None,
    ) -> None:
        self._groups = groups or usage.find(process.pid)

        def killed() -> None:
            process.oom_killed = True
            self._on_oom()

        self._oom = OomWatch(self._loop, self._groups, killed, handed)

    def _mount(self, rootfs: Mounts) -> None:
        target = f"{self.bundle}/rootfs"
        if rootfs:
            os.makedirs(target, mode=0o711, exist_ok=True)
        for kind, source, options in rootfs:
            try:
                linux.mount(source, target, kind, options)
            except OSError as error:
                raise FailedPrecondition(f"failed to mount rootfs component: {error}") from error
            self._mounted = True

    def _unmount(self) -> None:
        if self._mounted:
            linux.unmount_all(f"{self.bundle}/rootfs")
            self._mounted = False

    async def start(self) -> Process:
        """Let the created process run. Its end is told once ``announced`` is complete."""
        async with self._turn:
            process = self.process("")
            if process.phase is not Phase.CREATED:
                raise FailedPrecondition(f"cannot start a container in the {process.phase} state")
            process.announced = Future()
            try:
                if self._images is None:
                    await self._runtime.run("start")
                else:
                    await self._restore(process, self._images)
            except BaseException:
                process.announced.set(None)
                raise
            process.phase = Phase.RUNNING
            return process

    async def _restore(self, process: Process, images: checkpoint.Images) -> None:
        """Bring a process back; one that cannot be is one that has ended."""
        flags = ["--bundle", self.bundle, *checkpoint.restore_flags(images, process.terminal)]
        if self._options.no_pivot_root:
            flags.append("--no-pivot")
        try:
            exited = await self._launcher.launch(
                process, "restore", flags, f"{self.bundle}/init.pid"
            )
        except BaseException:
            process.phase = Phase.STOPPED
            process.streams.abandon()
            process.exit = Exits.unseen()
            process.exited.set(process.exit)
            raise
        self._images = None
        self._observe(process)
        self._remember()
        self._follow(process, exited)

    async def checkpoint(self, wanted: checkpoint.Wanted) -> None:
        """Save the container's processes; raises FailedPrecondition if it does not run, and what the runtime says."""
        async with self._turn:
            process = self.process("")
            if process.phase is not Phase.RUNNING:
                raise FailedPrecondition("cannot checkpoint a container that is not running")
            with checkpoint.work_directory(self.bundle, wanted) as work:
                flags = checkpoint.flags(wanted, work, process.terminal)
                await self._runtime.run("checkpoint", *flags)

    # -- execs

    def add_exec(
        self, exec_id: str, *, terminal: bool, stdin: str, stdout: str, stderr: str, spec: bytes
    ) -> None:
        """Remember an exec; clients can attach to it from now on."""
        if not _is_name(exec_id):
            raise InvalidArgument(f'exec id "{exec_id}" is not a valid identifier')
        if exec_id in self.execs:
            raise AlreadyExists(f"id {exec_id}: already exists")
        if self.process("").phase is not Phase.RUNNING:
            raise FailedPrecondition("cannot exec in a stopped container: container not running")
        process = self._new_process(
            exec_id, terminal=terminal, stdin=stdin, stdout=stdout, stderr=stderr
        )
        process.spec = spec
        self.execs[exec_id] = process
        self._remember()

    async def start_exec(self, exec_id: str) -> Process:
        """Start an exec. Its end is told once ``announced`` is complete."""
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
        process.phase = Phase.CREATED
        try:
            exited = await self._launcher.launch(
                process, "exec", ["--process", f"{path}.json", "--detach"], f"{path}.pid"
            )
        except BaseException as error:
            process.phase = Phase.STOPPED
            if isinstance(error, EngineError):
                # The client of an exec has its answer's head already: the stream is where it learns why.
                process.streams.tell(f"{error.message}: unknown\r\n")
            # What the runtime wrote to its pipes, we have said already.
            process.streams.abandon()
            process.exited.fail(error)
            raise
        finally:
            for suffix in ("json", "pid"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(f"{path}.{suffix}")
        process.phase = Phase.RUNNING
        self._remember()
        self._follow(process, exited)
        return process

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

    def _new_process(
        self,
        exec_id: str,
        *,
        terminal: bool,
        stdin: str,
        stdout: str,
        stderr: str,
        restored: bool = False,
    ) -> Process:
        streams = Streams(
            self._loop,
            terminal=terminal,
            stdin=uri.parse(stdin),
            stdout=uri.parse(stdout),
            stderr=uri.parse(stderr),
            owner=self._owner,
            reaped=self._exits.claim,
            restored=restored,
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

    def _follow(self, process: Process, exited: Future[Exit]) -> None:
        """Tell of a process's end when it comes, but after its beginning."""

        def ended() -> None:
            process.announced.then(
                lambda: self._loop.soon(
                    lambda: self._loop.start(self._ended(process, exited.result()))
                )
            )

        exited.then(ended)

    async def _ended(self, process: Process, ended: Exit) -> None:
        if not process.exec_id:
            await self._end_execs()
            if self._oom is not None:
                self._oom.check()
                self._oom.close()
                self._oom = None
        process.phase = Phase.STOPPED
        # Durable before visible; and whoever hears of the end finds the whole log.
        process.record_exit(ended)
        process.streams.finish()
        self._on_exit(process)
        process.exited.set(ended)
        if process.exec_id:
            self._remember()

    async def _end_execs(self) -> None:
        """The ends of execs are told before the container's. Without a PID namespace of its own they survive it."""
        if any(process.living for process in self.execs.values()) and self._shares_pids():
            with contextlib.suppress(EngineError):
                await self._runtime.run("kill", "--all", after=(str(int(signals.SIGKILL)),))
        for process in tuple(self.execs.values()):
            if process.living:
                await process.exited

    def _shares_pids(self) -> bool:
        try:
            with open(f"{self.bundle}/config.json", "rb") as file:
                spaces = json.load(file)["linux"]["namespaces"]
            own = [each for each in spaces if each["type"] == "pid" and not each.get("path")]
        except (OSError, ValueError, KeyError, TypeError):
            return True
        return not own

    async def delete(self, exec_id: str) -> Process:
        """Remove what has stopped: the container itself, or one exec."""
        if exec_id:
            return self._delete_exec(exec_id)
        async with self._turn:
            process = self.process("")
            if process.phase is Phase.RUNNING:
                raise FailedPrecondition("cannot delete a running process: container is running")
            if process.phase is Phase.CREATED and self._images is None:
                # Created and never started: nothing of it ran, so it may simply go.
                await self._runtime.run("delete", "--force")
                await process.exited
            elif self._images is not None:
                # Never brought back.
                process.streams.abandon()
            else:
                with contextlib.suppress(NotFound):
                    await self._runtime.run("delete")
            self._leave()
            return process

    def _delete_exec(self, exec_id: str) -> Process:
        process = self.process(exec_id)
        if process.living:
            raise FailedPrecondition(f"process {exec_id} is still running")
        if process.phase is Phase.ADDED:
            process.streams.abandon()
        del self.execs[exec_id]
        process.forget_record()
        self._remember()
        return process

    def _leave(self) -> None:
        record.forget(self.bundle)
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
            # What the runtime would do, without running it: the end of the process is told to us before its pid is free.
            self._signal(process, signal)
            return
        await self._runtime.run("kill", *flags, after=(str(signal),))

    def _signal(self, process: Process, signal: int) -> None:
        descriptor = pidfd.open_same(process.pid, process.started)
        if descriptor is None:
            raise NotFound("process already finished: not found")
        try:
            signals.pidfd_send_signal(descriptor, signal)
        except ProcessLookupError:
            raise NotFound("process already finished: not found") from None
        except OSError as error:
            raise InvalidArgument(f"signal {signal}: {error.strerror}") from error
        finally:
            os.close(descriptor)

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
        return self._groups.processes()

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
        if self._oom is not None:
            self._oom.close()
            self._oom = None

    def _remember(self) -> None:
        record.save(self.bundle, self._record())

    def _record(self) -> record.ContainerRecord:
        processes = ([self.init] if self.init else []) + list(self.execs.values())
        return record.ContainerRecord(
            container_id=self.container_id,
            socket=self._socket,
            mounted=self._mounted,
            options=self._options,
            processes=[
                record.ProcessRecord(
                    exec_id=each.exec_id,
                    terminal=each.terminal,
                    stdin=each.stdin,
                    stdout=each.stdout,
                    stderr=each.stderr,
                    pid=each.pid,
                    started=each.started,
                    pipes=each.streams.pipes_made,
                )
                for each in processes
            ],
        )

    # -- the same shim's next process

    def hand_over(self, descriptors: list[int]) -> dict[str, Any]:
        """What the next process needs to go on; adds our descriptors. Raises Refusal while anything is under way."""
        init = self.init
        if init is None or init.phase is not Phase.RUNNING or self.execs or self._turn.held:
            raise Refusal
        if self._oom is None:
            raise Refusal
        self._oom.check()
        if self._attach is not None:
            descriptors.append(self._attach.hand_over())
        descriptors += self._oom.descriptors
        return {
            "bundle": self.bundle,
            "record": record.document(self._record()),
            # Whether its end will be told to our parent, too.
            "child": _is_child(init.pid),
            "paused": self.paused,
            "attach": self._attach is not None,
            "oom_killed": init.oom_killed,
            "groups": self._groups.paths,
            "oom": (self._oom.seen, len(self._oom.descriptors)),
            "streams": init.streams.hand_over(descriptors),
        }

    def take_over(
        self, found: dict[str, Any], known: record.ContainerRecord, descriptors: Iterator[int]
    ) -> None:
        """Go on with a running container whose earlier process has ended; its own process is our child by now."""
        self._mounted = known.mounted
        self.paused = found["paused"]
        (each,) = known.processes
        listener = next(descriptors) if found["attach"] else -1
        seen, count = found["oom"]
        watched = [next(descriptors) for _ in range(count)]
        process = self._restored(each)
        process.phase = Phase.RUNNING
        process.oom_killed = found["oom_killed"]
        self.init = process
        process.streams.take_over(found["streams"], descriptors)
        self._listen(process, listener)
        self._observe(process, usage.Groups(found["groups"]), (seen, watched))
        if _is_child(process.pid):
            self._follow(process, self._exits.claim(process.pid))
            return
        # Its first shim was killed: it is the child of whoever took in what that left.
        descriptor = pidfd.open_same(process.pid, process.started)
        exited: Future[Exit] = Future()
        if descriptor is None:
            exited.set(Exits.unseen())
        else:
            exited = self._exits.watch(descriptor)
        self._follow(process, exited)

    def _restored(self, each: record.ProcessRecord) -> Process:
        process = self._new_process(
            each.exec_id,
            terminal=each.terminal,
            stdin=each.stdin,
            stdout=each.stdout,
            stderr=each.stderr,
            restored=True,
        )
        process.pid, process.started = each.pid, each.started
        process.announced.set(None)
        return process

    # -- a killed shim's container

    async def adopt(self, found: record.ContainerRecord) -> None:
        """Take over a container whose shim was killed: its processes, what they still write, and how they end."""
        self._mounted = found.mounted
        async with self._turn:
            for each in found.processes:
                process = self._restored(each)
                if each.exec_id:
                    self.execs[each.exec_id] = process
                else:
                    self.init = process
                    self._listen(process)
                self._take_over(process, each)
            init = self.process("")
            if not init.pid:
                # Cut short before there was a process: not a container.
                init.streams.abandon()
                self.close()
                raise NotFound(f"container {self.container_id}: not found")
            if init.living:
                self._observe(init)
                try:
                    state = await self._runtime.state()
                except EngineError:
                    log.exception("state of an adopted container")
                    state = "running"
                if init.phase is Phase.RUNNING and state == "created":
                    init.phase = Phase.CREATED
                self.paused = state == "paused"
            self._remember()

    def _take_over(self, process: Process, found: record.ProcessRecord) -> None:
        recorded = process.recorded_exit()
        if recorded is not None:
            # It was recorded and perhaps never told.
            process.phase = Phase.STOPPED
            process.exit = recorded
            process.streams.abandon()
            process.exited.set(recorded)
            self._on_exit(process)
            return
        if not process.pid:
            # It died between the launch and its note of it.
            name = f"exec-{process.exec_id}.pid" if process.exec_id else "init.pid"
            process.pid = _noted_pid(f"{self.bundle}/{name}")
            process.started = pidfd.start_time(process.pid)
        if not process.pid:
            return
        descriptor = pidfd.open_same(process.pid, process.started)
        process.phase = Phase.RUNNING
        holders = [process.pid, *usage.find(process.pid).processes()]
        process.streams.adopt(record.find_pipes(found.pipes, holders))
        if descriptor is None:
            # It ended unseen.
            exited: Future[Exit] = Future()
            exited.set(Exits.unseen())
        else:
            exited = self._exits.watch(descriptor)
        self._follow(process, exited)


def _is_name(exec_id: str) -> bool:
    """Whether it can be a part of a file's name. containerd's rule is narrower, and regular expressions cost memory."""
    return (
        0 < len(exec_id) <= _LONGEST_NAME
        and exec_id[0] != "."
        and exec_id.isprintable()
        and "/" not in exec_id
    )


def _is_child(pid: int) -> bool:
    """Whether a process, alive or not yet reaped, is our child."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1]) == os.getpid()
    except (OSError, ValueError, IndexError):
        return False


def _noted_pid(path: str) -> int:
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def decode_mounts(mounts: Any) -> Mounts:
    """Type, source and options of each Mount message."""
    return [(mount.type, mount.source, list(mount.options)) for mount in mounts]
