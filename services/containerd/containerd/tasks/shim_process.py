"""Starting shims: ours through the warm forkserver, others by the standard contract."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from google.protobuf import any_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError

from containerd.linux import cgroups
from containerd.tasks.shim_log import ShimLog, has_log
from wire import namespaces, tracing
from wire.addresses import ensure_dir, shim_group, shim_socket, short_dir
from wire.atomic import write_atomic
from wire.errors import (
    EngineError,
    Internal,
    NotFound,
    NotImplementedYet,
    Unavailable,
)
from wire.gen.containerd.types.introspection_pb2 import RuntimeInfo
from wire.gen.shim.task.v2 import shim_pb2
from wire.ttrpc.client import Client

logger = logging.getLogger(__name__)

OWN_RUNTIME: Final = "io.containerd.dockyard.v1"
_OWN_PROGRAM: Final = "containerd-shim-dockyard-v1"
_RUNC_RUNTIME: Final = "io.containerd.runc.v2"
_RUNC_PROGRAM: Final = "containerd-shim-runc-v2"
PROGRAM_FILE: Final = "shim-binary-path"
_PATIENCE: Final = 30.0
_GOODBYE: Final = 5.0
_MESSAGE: Final = 1 << 16
# What a child of the forkserver says once its socket listens (shim/bootstrap.py).
_STARTED: Final = b"started"
# Joins the cgroups whose files come before `--`, then becomes the program behind it.
_JOIN: Final = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 1; shift; done; shift; exec "$@"'
_VERSIONS: Final = (2, 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shim:
    """Where a shim answers, and which version of the task service it has; ``program`` is that of one of others."""

    address: str
    version: int
    program: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShimSettings:
    """What every shim of this daemon is told."""

    shim_dir: str
    shim_cgroup: str | None
    state: str
    address: str
    ttrpc_address: str
    debug: bool

    @property
    def socket_dir(self) -> str:
        """Where shims listen."""
        return short_dir(self.state)


class ShimStarter:
    """Starts shims; one at a time through the forkserver, which is started again when it has died."""

    def __init__(self, settings: ShimSettings) -> None:
        self._settings = settings
        self._channel: socket.socket | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self._logs: dict[str, ShimLog] = {}
        self._cgroup_files: list[str] = []

    async def open(self) -> None:
        """Warm the forkserver."""
        if self._settings.shim_cgroup is not None:
            self._cgroup_files = cgroups.ensure(self._settings.shim_cgroup)
        ensure_dir(self._settings.socket_dir)
        async with self._lock:
            await self._start_forkserver()

    async def close(self) -> None:
        """End the forkserver; shims go on."""
        for bundle in list(self._logs):
            self.forget(bundle)
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            await self._process.wait()

    def own_program(self) -> str:
        """Our shim's program."""
        beside = os.path.join(self._settings.shim_dir, _OWN_PROGRAM)
        return beside if os.path.exists(beside) else shutil.which(_OWN_PROGRAM) or beside

    def remember(self, bundle: str) -> None:
        """Go on reading what the shim of a bundle logs, if it is one that does."""
        if has_log(bundle) and bundle not in self._logs:
            self._logs[bundle] = ShimLog(bundle)

    def forget(self, bundle: str) -> None:
        """The shim of a bundle has ended."""
        log = self._logs.pop(bundle, None)
        if log is not None:
            log.close()

    def program_of(self, bundle: str) -> str:
        """The program of a bundle's shim."""
        try:
            with open(f"{bundle}/{PROGRAM_FILE}", encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return self.own_program()

    async def start(
        self,
        runtime: str,
        namespace: str,
        container_id: str,
        bundle: str,
        options: bytes = b"",
    ) -> Shim:
        """Start a shim for a container. Raises NotFound for an unknown runtime, Internal for a shim that fails.

        ``options`` is the Any with the runtime's options, which a shim that is started by its program gets as its input.
        """
        with tracing.span("containerd.shim.start", runtime=runtime, container=container_id):
            if runtime == OWN_RUNTIME:
                return await self._fork(namespace, container_id, bundle)
            program = self._program(runtime)
            if os.path.basename(program) == _OWN_PROGRAM:
                return await self._fork(namespace, container_id, bundle)
            return await self._exec(program, namespace, container_id, bundle, options)

    async def adopt(self, namespace: str, container_id: str, bundle: str) -> Shim:
        """A shim of ours that goes on with a container whose shim was killed, where that was: others may share it."""
        path = ""
        with contextlib.suppress(OSError), open(f"{bundle}/address", encoding="utf-8") as file:
            path = file.read().strip().removeprefix("unix://")
        return await self._fork(namespace, container_id, bundle, path)

    def join(self, bundle: str, shim: Shim) -> None:
        """Note that a container is in a shim that runs already, that of its sandbox."""
        if shim.program:
            write_atomic(f"{bundle}/{PROGRAM_FILE}", shim.program.encode(), 0o600, durable=False)
        _note(bundle, shim)

    async def clean(self, namespace: str, container_id: str, bundle: str) -> None:
        """What a dead shim's `delete` does: end the container and take its mounts away."""
        command = [*self._command(bundle, namespace, container_id), "-bundle", bundle, "delete"]
        try:
            done = await _run(command, b"", bundle, self._environment(namespace))
        except (OSError, EngineError) as error:
            logger.warning("shim delete", extra={"container": container_id, "error": str(error)})
            return
        if done.returncode != 0:
            text = done.stderr.decode(errors="replace").strip()
            logger.warning("shim delete", extra={"container": container_id, "error": text})

    def _command(self, bundle: str, namespace: str, container_id: str) -> list[str]:
        settings = self._settings
        return [
            self.program_of(bundle),
            *("-namespace", namespace),
            *("-address", settings.address),
            *("-publish-binary", os.path.join(settings.shim_dir, "containerd")),
            *("-id", container_id),
            *(["-debug"] if settings.debug else []),
        ]

    def _environment(self, namespace: str) -> dict[str, str]:
        return {
            **os.environ,
            "MAX_SHIM_VERSION": "2",
            "TTRPC_ADDRESS": self._settings.ttrpc_address,
            "GRPC_ADDRESS": self._settings.address,
            "NAMESPACE": namespace,
        }

    async def describe(self, runtime: str, options: any_pb2.Any) -> RuntimeInfo:
        """What a shim says of itself and its runtime (``-info``); raises NotFound, Internal."""
        program = _OWN_PROGRAM if runtime == OWN_RUNTIME else self._program(runtime)
        if program == _OWN_PROGRAM:
            program = self.own_program()
        done = await _run([program, "-info"], options.SerializeToString())
        if done.returncode != 0:
            raise Internal(
                f"failed to run {program} -info: {done.stderr.decode(errors='replace').strip()}"
            )
        try:
            return RuntimeInfo.FromString(done.stdout)
        except DecodeError as error:
            raise Internal(f"{program} -info gave no runtime info: {error}") from error

    def _program(self, runtime: str) -> str:
        if runtime.startswith("/"):
            return runtime
        if runtime == _RUNC_RUNTIME:
            return shutil.which(_RUNC_PROGRAM) or _OWN_PROGRAM
        words = runtime.split(".")
        if len(words) >= 2:
            name = f"containerd-shim-{words[-2]}-{words[-1]}"
            found = shutil.which(name)
            if found:
                return found
        raise NotFound(
            f'runtime "{runtime}" binary not installed "{runtime}": file does not exist: not found'
        )

    async def _fork(self, namespace: str, container_id: str, bundle: str, path: str = "") -> Shim:
        settings = self._settings
        group = shim_group(bundle) or container_id
        path = path or shim_socket(settings.socket_dir, settings.address, namespace, group)
        fields = (namespace, bundle, settings.ttrpc_address, settings.socket_dir, path)
        request = b"".join(os.fsencode(field) + b"\0" for field in fields)
        async with self._lock:
            try:
                answer = await self._ask(request)
            except OSError:
                # Somebody killed it: nothing was started that we could not start again.
                await self._start_forkserver()
                try:
                    answer = await self._ask(request)
                except OSError:
                    raise Unavailable("the shim forkserver does not answer") from None
        if answer != _STARTED:
            reason = answer.decode(errors="replace")
            raise Internal(f"failed to start a shim in {bundle}: {reason}")
        return Shim(address=path, version=3)

    async def _ask(self, request: bytes) -> bytes:
        """What the child answers that the forkserver makes for us; raises OSError if there is none."""
        if self._channel is None:
            raise OSError("no forkserver")
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                ours.setblocking(False)
                socket.send_fds(self._channel, [request], [theirs.fileno()])
            async with asyncio.timeout(_PATIENCE):
                answer = await loop.sock_recv(ours, _MESSAGE)
        if not answer:
            raise OSError("the forkserver or its child has ended")
        return answer

    async def _start_forkserver(self) -> None:
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                self.own_program(),
                *("-socket", str(theirs.fileno()), "forkserver"),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        # Nothing has been asked of it yet, so every shim is born there.
        cgroups.move(self._process.pid, self._cgroup_files)
        self._channel = ours

    async def _exec(
        self, program: str, namespace: str, container_id: str, bundle: str, options: bytes
    ) -> Shim:
        """Start a shim by its program, by the standard contract."""
        write_atomic(f"{bundle}/{PROGRAM_FILE}", program.encode(), 0o600, durable=False)
        self._logs[bundle] = ShimLog(bundle)
        command = [*self._command(bundle, namespace, container_id), "start"]
        if self._cgroup_files:
            command = ["/bin/sh", "-c", _JOIN, "sh", *self._cgroup_files, "--", *command]
        done = await _run(command, options, bundle, self._environment(namespace))
        if done.returncode != 0:
            raise Internal(
                f"failed to start shim: start failed: {done.stderr.decode(errors='replace').strip()}"
            )
        shim = _answer(done.stdout, program)
        _note(bundle, shim)
        return shim


def _note(bundle: str, shim: Shim) -> None:
    """Write into a bundle where its shim is found."""
    address = f"unix://{shim.address}"
    document = {"version": shim.version, "address": address, "protocol": "ttrpc"}
    write_atomic(f"{bundle}/bootstrap.json", json.dumps(document).encode(), 0o644, durable=False)
    write_atomic(f"{bundle}/address", address.encode(), 0o644, durable=False)


async def shut_down(client: Client, version: int, namespace: str, container_id: str) -> None:
    """Let a shim end, unless it serves others, and close the connection to it."""
    with contextlib.suppress(EngineError):
        await client.call(
            f"containerd.task.v{version}.Task",
            "Shutdown",
            shim_pb2.ShutdownRequest(id=container_id, now=True),
            Empty,
            timeout=_GOODBYE,
            metadata={namespaces.TTRPC_HEADER: namespace},
        )
    client.close()


def _answer(output: bytes, program: str) -> Shim:
    """What `start` printed: parameters as JSON, or the bare address (then version 2)."""
    text = output.decode(errors="replace").strip()
    version, protocol = 2, "ttrpc"
    if text.startswith("{"):
        try:
            document = json.loads(text)
            version = int(document.get("version") or version)
            protocol = str(document.get("protocol") or protocol)
            address = str(document["address"])
        except (ValueError, KeyError, TypeError):
            raise Internal(f"failed to start shim: {program} answers {text!r}") from None
        text = address
    if protocol != "ttrpc" or version not in _VERSIONS:
        raise NotImplementedYet(
            f"shim {program} wants protocol {protocol}, version {version}: not implemented"
        )
    return Shim(address=text.removeprefix("unix://"), version=version, program=program)


async def _run(
    command: Sequence[str],
    given: bytes,
    directory: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a shim's program to its end; raises Unavailable if it does not end in time.

    Not by the event loop: uvloop leaves its ends of the streams open in the child, and a Go program hands them on to the
    shim that it starts, so that their end would never come.
    """

    def run() -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            command,
            check=False,
            input=given,
            capture_output=True,
            cwd=directory,
            env=environment,
            process_group=0,
            timeout=_PATIENCE,
        )

    try:
        return await asyncio.to_thread(run)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} did not end within {_PATIENCE:.0f} s") from None
