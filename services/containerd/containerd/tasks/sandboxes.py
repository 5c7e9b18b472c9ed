"""The running sandboxes: each a shim of its own, found again after a restart, with another shim when that has died."""

from __future__ import annotations

import asyncio
import contextlib
import glob
import json
import logging
import os
import shutil
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

from containerd.events.exchange import Exchange
from containerd.tasks.bundle import make_bundle
from containerd.tasks.shim_process import PROGRAM_FILE, Shim, ShimStarter, shut_down
from wire import namespaces
from wire.errors import AlreadyExists, DeadlineExceeded, EngineError, NotFound, Unavailable
from wire.gen.containerd.events import sandbox_pb2 as events
from wire.gen.shim.sandbox.v1 import sandbox_pb2 as pb
from wire.identifiers import validate
from wire.ttrpc.client import Client

logger = logging.getLogger(__name__)

_SERVICE: Final = "containerd.runtime.sandbox.v1.Sandbox"
_PATIENCE: Final = 5.0
_BREATH: Final = 0.5
_KILLED: Final = 137
# In a bundle: its end was told.
_TOLD: Final = "exit-told"
# The service came with this version of the shim's protocol.
_VERSION: Final = 3
# Asking these again of the next shim changes nothing.
_REPEATABLE: Final = frozenset(
    {"WaitSandbox", "SandboxStatus", "PingSandbox", "StopSandbox", "Platform", "SandboxMetrics"}
)
Reply = TypeVar("Reply", bound=Message)


@dataclass(eq=False, slots=True)
class Sandbox:
    """One sandbox; ``client`` is None while its shim is dead, ``end`` comes once it has been started."""

    namespace: str
    sandbox_id: str
    bundle: str
    shim: Shim | None = None
    client: Client | None = None
    recovery: asyncio.Task[None] | None = None
    recovered_at: float = 0.0
    end: asyncio.Task[pb.WaitSandboxResponse] | None = None

    @property
    def version(self) -> int:
        """Of its shim's task service."""
        return _VERSION if self.shim is None else self.shim.version

    async def call(
        self, method: str, request: Message, reply: type[Reply], *, timeout: float | None = None
    ) -> Reply:
        """Call the shim, the next one if it dies and the call can be repeated; raises Unavailable if there is none."""
        while True:
            if self.client is None and self.recovery is not None:
                await asyncio.shield(self.recovery)
            client = self.client
            if client is None:
                raise Unavailable(f"the shim of sandbox {self.sandbox_id} has died")
            try:
                return await client.call(
                    _SERVICE,
                    method,
                    request,
                    reply,
                    timeout=timeout,
                    metadata={namespaces.TTRPC_HEADER: self.namespace},
                )
            except Unavailable:
                if method not in _REPEATABLE or not client.closed.is_set():
                    raise


class SandboxManager:
    """Creates sandboxes and finds them again."""

    def __init__(self, state: str, starter: ShimStarter, exchange: Exchange) -> None:
        self._root = os.path.join(state, "io.containerd.sandbox.controller.v1.shim")
        self._starter = starter
        self._exchange = exchange
        self._sandboxes: dict[tuple[str, str], Sandbox] = {}
        self._creating: set[tuple[str, str]] = set()
        self._background: set[asyncio.Task[Any]] = set()

    def find(self, sandbox_id: str) -> Sandbox:
        """A sandbox of the current namespace; raises NotFound."""
        found = self._sandboxes.get((namespaces.current(), sandbox_id))
        if found is None:
            raise NotFound(f"sandbox {sandbox_id}: not found")
        return found

    def shim(self, sandbox_id: str) -> Shim:
        """Where tasks in a sandbox are made; raises NotFound."""
        shim = self.find(sandbox_id).shim
        if shim is None:
            raise NotFound(f"can't find shim for sandbox {sandbox_id}: not found")
        return shim

    async def create(self, runtime: str, spec: bytes, request: pb.CreateSandboxRequest) -> None:
        """Make a bundle, start a shim and create the sandbox in it. Leaves nothing after a failure.

        ``spec`` may be empty. Raises AlreadyExists.
        """
        validate(request.sandbox_id)
        namespace = namespaces.current()
        key = (namespace, request.sandbox_id)
        if key in self._sandboxes or key in self._creating:
            raise AlreadyExists(f"sandbox {request.sandbox_id} already running: already exists")
        self._creating.add(key)
        # A caller that dies must not tear a creation in two.
        await asyncio.shield(self._begin(self._create(key, runtime, spec, request)))

    async def _create(
        self, key: tuple[str, str], runtime: str, spec: bytes, request: pb.CreateSandboxRequest
    ) -> None:
        sandbox = Sandbox(*key, os.path.join(self._root, *key))
        started = False
        try:
            make_bundle(sandbox.bundle, spec)
            options = request.options.SerializeToString() if request.HasField("options") else b""
            shim = await self._starter.start(runtime, *key, sandbox.bundle, options)
            started = True
            await self._connect(sandbox, shim)
            request.bundle_path = sandbox.bundle
            await sandbox.call("CreateSandbox", request, pb.CreateSandboxResponse)
            self._sandboxes[key] = sandbox
        except BaseException:
            await self._discard(sandbox, clean=started)
            raise
        finally:
            self._creating.discard(key)

    async def start(self, sandbox: Sandbox) -> pb.StartSandboxResponse:
        """Let it run; one that cannot is gone then."""
        request = pb.StartSandboxRequest(sandbox_id=sandbox.sandbox_id)
        before = sandbox.end
        try:
            response = await sandbox.call("StartSandbox", request, pb.StartSandboxResponse)
        except EngineError:
            # Whoever starts it twice does not lose it; after a restart of ours its shim may be the only one who knows.
            if before is None and not await self._was_started(sandbox):
                self._sandboxes.pop((sandbox.namespace, sandbox.sandbox_id), None)
                await self._discard(sandbox, clean=True)
            raise
        self._follow(sandbox)
        return response

    async def wait(self, sandbox: Sandbox) -> pb.WaitSandboxResponse:
        """Its end, also over the death of its shim."""
        if sandbox.end is not None:
            return await asyncio.shield(sandbox.end)
        return await self._ended(sandbox)

    async def shut_down(self, sandbox: Sandbox) -> None:
        """Take it away, with its shim; raises FailedPrecondition while there are tasks in it."""
        request = pb.ShutdownSandboxRequest(sandbox_id=sandbox.sandbox_id)
        clean = sandbox.shim is not None and bool(sandbox.shim.program)
        try:
            await sandbox.call("ShutdownSandbox", request, pb.ShutdownSandboxResponse)
        except (Unavailable, NotFound):
            # A shim that is dead has nothing to say; what it left is cleaned up.
            clean = True
        self._sandboxes.pop((sandbox.namespace, sandbox.sandbox_id), None)
        if sandbox.end is not None:
            # Its end is told before it is gone.
            with contextlib.suppress(EngineError):
                await asyncio.shield(sandbox.end)
        await asyncio.shield(self._begin(self._discard(sandbox, clean=clean)))

    async def restore(self) -> None:
        """Find the sandboxes of an earlier life by their bundles."""
        paths = glob.iglob(os.path.join(glob.escape(self._root), "*", "*"))
        found = [path.rsplit("/", 2)[1:] for path in paths]
        await asyncio.gather(*(self._restore(*each) for each in found))

    # -- inside

    async def _restore(self, namespace: str, sandbox_id: str) -> None:
        sandbox = Sandbox(namespace, sandbox_id, os.path.join(self._root, namespace, sandbox_id))
        try:
            self._starter.remember(sandbox.bundle)
            if not await self._is_sandbox(sandbox):
                await self._discard(sandbox, clean=True)
                return
            self._sandboxes[namespace, sandbox_id] = sandbox
            if sandbox.client is None:
                sandbox.recovery = self._begin(self._recover(sandbox))
            following = self._begin(self._follow_started(sandbox))
            del following
        except (OSError, ValueError, EngineError):
            # One damaged bundle must not keep the others from being served.
            logger.exception("sandbox not restored", extra={"sandbox": sandbox_id})

    async def _is_sandbox(self, sandbox: Sandbox) -> bool:
        """Whether a bundle is that of a sandbox; leaves it connected if its shim answers."""
        shim = _known_shim(sandbox.bundle)
        if shim is None:
            return False
        try:
            await self._connect(sandbox, shim)
            ping = pb.PingRequest(sandbox_id=sandbox.sandbox_id)
            await sandbox.call("PingSandbox", ping, pb.PingResponse, timeout=_PATIENCE)
        except NotFound:
            # A creation that was cut short, or a deletion.
            return False
        except DeadlineExceeded:
            logger.warning("shim does not answer", extra={"sandbox": sandbox.sandbox_id})
        except EngineError:
            sandbox.client = None
            # What another shim can go on with.
            return os.path.exists(f"{sandbox.bundle}/sandbox.json")
        return True

    async def _connect(self, sandbox: Sandbox, shim: Shim) -> None:
        client = await Client.connect(shim.address)
        sandbox.shim, sandbox.client = shim, client
        client.on_close(lambda: self._shim_gone(sandbox, client))

    def _shim_gone(self, sandbox: Sandbox, client: Client) -> None:
        if sandbox.client is not client:
            return
        sandbox.client = None
        if self._sandboxes.get((sandbox.namespace, sandbox.sandbox_id)) is sandbox:
            logger.warning("shim of a sandbox died", extra={"sandbox": sandbox.sandbox_id})
            sandbox.recovery = self._begin(self._recover(sandbox))

    async def _recover(self, sandbox: Sandbox) -> None:
        """Another shim; a foreign one leaves nothing to go on with."""
        loop = asyncio.get_running_loop()
        # A shim that dies of what it finds must not be started in a tight circle.
        await asyncio.sleep(sandbox.recovered_at + _BREATH - loop.time())
        sandbox.recovered_at = loop.time()
        if not os.path.exists(f"{sandbox.bundle}/sandbox.json"):
            return
        try:
            shim = await self._starter.adopt(sandbox.namespace, sandbox.sandbox_id, sandbox.bundle)
            await self._connect(sandbox, shim)
        except EngineError as error:
            fields = {"sandbox": sandbox.sandbox_id, "error": error.message}
            logger.warning("no other shim for a sandbox", extra=fields)

    async def _follow_started(self, sandbox: Sandbox) -> None:
        """After a restart: nobody has told whether it was started."""
        try:
            started = await self._ask_started(sandbox)
        except Unavailable:
            # Its shim is dead, and so is it.
            started = True
        if started:
            self._follow(sandbox)

    async def _was_started(self, sandbox: Sandbox) -> bool:
        """Whether it runs or ran, as far as its shim answers."""
        try:
            return await self._ask_started(sandbox)
        except EngineError:
            return False

    @staticmethod
    async def _ask_started(sandbox: Sandbox) -> bool:
        request = pb.SandboxStatusRequest(sandbox_id=sandbox.sandbox_id)
        status = await sandbox.call("SandboxStatus", request, pb.SandboxStatusResponse)
        return status.state == "SANDBOX_READY" or status.HasField("exited_at")

    def _follow(self, sandbox: Sandbox) -> None:
        """Tell of its end when it comes, once."""
        if sandbox.end is None:
            sandbox.end = self._begin(self._tell(sandbox))

    async def _tell(self, sandbox: Sandbox) -> pb.WaitSandboxResponse:
        ended = await self._ended(sandbox)
        told = f"{sandbox.bundle}/{_TOLD}"
        if not os.path.exists(told):
            event = events.SandboxExit(sandbox_id=sandbox.sandbox_id, exit_status=ended.exit_status)
            event.exited_at.CopyFrom(ended.exited_at)
            with namespaces.bind(sandbox.namespace):
                self._exchange.publish("/sandboxes/exit", event, at=ended.exited_at)
            with contextlib.suppress(OSError), open(told, "wb"):
                pass
        return ended

    async def _ended(self, sandbox: Sandbox) -> pb.WaitSandboxResponse:
        request = pb.WaitSandboxRequest(sandbox_id=sandbox.sandbox_id)
        try:
            return await sandbox.call("WaitSandbox", request, pb.WaitSandboxResponse)
        except Unavailable:
            ended = pb.WaitSandboxResponse(exit_status=_KILLED)
            ended.exited_at.FromNanoseconds(time.time_ns())
            return ended

    async def _discard(self, sandbox: Sandbox, *, clean: bool) -> None:
        """End the shim and remove the bundle; with ``clean`` what is left of its process, too."""
        client, sandbox.client = sandbox.client, None
        if client is not None:
            with contextlib.suppress(EngineError):
                await client.call(
                    _SERVICE,
                    "ShutdownSandbox",
                    pb.ShutdownSandboxRequest(sandbox_id=sandbox.sandbox_id),
                    pb.ShutdownSandboxResponse,
                    timeout=_PATIENCE,
                    metadata={namespaces.TTRPC_HEADER: sandbox.namespace},
                )
            # One without a sandbox goes on without this.
            await shut_down(client, sandbox.version, sandbox.namespace, sandbox.sandbox_id)
        if clean and os.path.isdir(sandbox.bundle):
            await self._starter.clean(sandbox.namespace, sandbox.sandbox_id, sandbox.bundle)
        self._starter.forget(sandbox.bundle)
        shutil.rmtree(sandbox.bundle, ignore_errors=True)

    def _begin(self, work: Coroutine[Any, Any, Reply | None]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        # Retrieved here, because the one who would be told may be gone.
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, EngineError):
            logger.error("work on a sandbox failed", exc_info=error)


def _known_shim(bundle: str) -> Shim | None:
    """The shim that a bundle names."""
    version = _VERSION
    try:
        with open(f"{bundle}/address", encoding="utf-8") as file:
            address = file.read().strip().removeprefix("unix://")
    except OSError:
        return None
    with (
        contextlib.suppress(OSError, ValueError, KeyError, TypeError),
        open(f"{bundle}/bootstrap.json", encoding="utf-8") as file,
    ):
        version = int(json.load(file)["version"])
    program = ""
    with contextlib.suppress(FileNotFoundError), open(f"{bundle}/{PROGRAM_FILE}") as file:
        program = file.read()
    return Shim(address=address, version=version, program=program)
