"""Starting shims: ours through the warm forkserver, others by the standard contract."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import socket
from dataclasses import dataclass
from typing import Any, Final

from wire.addresses import ensure_dir, short_dir
from wire.errors import ErrorKind, Internal, NotFound, Unavailable
from wire.status import error_for

logger = logging.getLogger(__name__)

OWN_RUNTIME: Final = "io.containerd.dockyard.v1"
_OWN_PROGRAM: Final = "containerd-shim-dockyard-v1"
_RUNC_RUNTIME: Final = "io.containerd.runc.v2"
_RUNC_PROGRAM: Final = "containerd-shim-runc-v2"
_PATIENCE: Final = 30.0
_MESSAGE: Final = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ShimSettings:
    """What every shim of this daemon is told."""

    shim_dir: str
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

    async def open(self) -> None:
        """Warm the forkserver."""
        ensure_dir(self._settings.socket_dir)
        async with self._lock:
            await self._start_forkserver()

    async def close(self) -> None:
        """End the forkserver; shims go on."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            await self._process.wait()

    def own_program(self) -> str:
        """Our shim's program."""
        beside = os.path.join(self._settings.shim_dir, _OWN_PROGRAM)
        return beside if os.path.exists(beside) else shutil.which(_OWN_PROGRAM) or beside

    async def start(
        self, runtime: str, namespace: str, container_id: str, bundle: str, group: str
    ) -> str:
        """Start a shim for a container; the path of its socket. Raises NotFound for an unknown runtime."""
        if runtime == OWN_RUNTIME:
            return await self._fork(namespace, container_id, bundle, group)
        program = self._program(runtime)
        if os.path.basename(program) == _OWN_PROGRAM:
            return await self._fork(namespace, container_id, bundle, group)
        return await self._exec(program, namespace, container_id, bundle)

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

    async def _fork(self, namespace: str, container_id: str, bundle: str, group: str) -> str:
        settings = self._settings
        request = {
            "id": container_id,
            "namespace": namespace,
            "bundle": bundle,
            "grpc_address": settings.address,
            "ttrpc_address": settings.ttrpc_address,
            "socket_dir": settings.socket_dir,
            "debug": settings.debug,
            "group": group,
        }
        async with self._lock:
            try:
                reply = await self._ask(request)
            except (OSError, ValueError):
                # Somebody killed it: nothing was started that we could not start again.
                await self._start_forkserver()
                try:
                    reply = await self._ask(request)
                except (OSError, ValueError):
                    raise Unavailable("the shim forkserver does not answer") from None
        error = reply.get("error")
        if error:
            raise error_for(ErrorKind(error["kind"]), error["message"], None, {})
        return str(reply["address"]).removeprefix("unix://")

    async def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._channel is None:
            raise OSError("no forkserver")
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_PATIENCE):
            await loop.sock_sendall(self._channel, json.dumps(request).encode())
            data = await loop.sock_recv(self._channel, _MESSAGE)
        if not data:
            raise OSError("the forkserver has ended")
        reply: dict[str, Any] = json.loads(data)
        return reply

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
        self._channel = ours

    async def _exec(self, program: str, namespace: str, container_id: str, bundle: str) -> str:
        settings = self._settings
        arguments = ["-namespace", namespace, "-address", settings.address]
        arguments += [
            "-publish-binary",
            os.path.join(settings.shim_dir, "containerd"),
            "-id",
            container_id,
        ]
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            "start",
            cwd=bundle,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "TTRPC_ADDRESS": settings.ttrpc_address,
                "GRPC_ADDRESS": settings.address,
                "NAMESPACE": namespace,
            },
        )
        async with asyncio.timeout(_PATIENCE):
            output, errors = await process.communicate()
        if process.returncode != 0:
            raise Internal(
                f"failed to start shim: start failed: {errors.decode(errors='replace').strip()}"
            )
        text = output.decode().strip()
        if text.startswith("{"):
            text = str(json.loads(text)["address"])
        return text.removeprefix("unix://")
