"""The sandbox service: converts, and calls the one sandbox of this shim."""

from __future__ import annotations

import json
import os
import time

from shim import log, messages, record, sandbox
from shim.container import Container, decode_mounts
from shim.sandbox import Sandbox
from shim.task_service import enter_cgroup, given_options, resolved
from wire.codec import DecodeError
from wire.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    NotImplementedYet,
)
from wire.gen.containerd.types.metrics_msg import Metric
from wire.gen.containerd.types.platform_msg import Platform
from wire.gen.shim.sandbox.v1 import sandbox_msg as pb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any, Final

    from shim.exits import Exits
    from shim.loop import Future, Loop
    from shim.task_service import TaskService
    from wire.codec import Message

    Answer = Coroutine[Future[Any], None, Message]

SERVICE: Final = "containerd.runtime.sandbox.v1.Sandbox"
# Go's names of what uname(2) tells.
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


class SandboxService:
    """Answers the calls of one shim; ``tasks`` are the containers in the sandbox, ``ended`` hears of its end."""

    def __init__(
        self,
        loop: Loop,
        exits: Exits,
        tasks: TaskService,
        *,
        namespace: str,
        socket_dir: str,
        socket: str,
        shut_down: Callable[[], None],
        ended: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._exits = exits
        self._tasks = tasks
        self._namespace = namespace
        self._socket_dir = socket_dir
        self._socket = socket
        self._shut_down = shut_down
        self._ended = ended
        self._sandbox: Sandbox | None = None

    def dispatch(self, method: str, payload: bytes) -> Answer:
        """The coroutine that answers a call; raises NotImplementedYet and InvalidArgument."""
        handler = _METHODS.get(method)
        if handler is None:
            raise NotImplementedYet(f"/{SERVICE}/{method} is not implemented")
        request_type, function = handler
        try:
            request = request_type.FromString(payload)
        except DecodeError:
            raise InvalidArgument(f"{method}: request is malformed") from None
        return function(self, request)

    @property
    def empty(self) -> bool:
        """Whether there is no sandbox."""
        return self._sandbox is None

    @property
    def living(self) -> bool:
        """Whether there is one that was not stopped."""
        return self._sandbox is not None and self._sandbox.living

    def _find(self, sandbox_id: str) -> Sandbox:
        if self._sandbox is None or self._sandbox.sandbox_id != sandbox_id:
            raise NotFound(f"sandbox {sandbox_id}: not found")
        return self._sandbox

    def adopt(self, bundle: str) -> None:
        """Take over the sandbox of a shim that was killed, if it had one."""
        for path in record.neighbours(bundle):
            found = sandbox.load(path)
            if found is not None and (path == bundle or found["socket"] == self._socket):
                self._loop.start(self._adopt(path, found))
                return

    async def _adopt(self, bundle: str, found: dict[str, Any]) -> None:
        container = None
        known = record.load(bundle)
        if found["process"]:
            if known is None:
                # Cut short before there was a process: not a sandbox.
                sandbox.forget(bundle)
                return
            container = self._container(known.container_id, bundle, known.options)
        adopted = Sandbox(
            self._loop,
            sandbox_id=found["sandbox_id"],
            bundle=bundle,
            socket=self._socket,
            container=container,
            created_at=found["created_at"],
        )
        # Before anything is waited for: whoever asks meanwhile must not hear that there is none.
        self._sandbox = adopted
        try:
            await adopted.resume(found, known)
        except BaseException:
            self._sandbox = None
            sandbox.forget(bundle)
            raise
        log.warning("adopted", sandbox=found["sandbox_id"])

    def _container(self, sandbox_id: str, bundle: str, options: Any) -> Container:
        return Container(
            self._loop,
            self._exits,
            container_id=sandbox_id,
            namespace=self._namespace,
            bundle=bundle,
            options=options,
            socket_dir=self._socket_dir,
            socket=self._socket,
            on_exit=lambda _process: self._ended(),
            on_oom=lambda: log.warning("out of memory", sandbox=sandbox_id),
        )

    async def create_sandbox(self, request: Any) -> Message:
        """Create it."""
        if self._sandbox is not None:
            raise AlreadyExists(f"sandbox {self._sandbox.sandbox_id}: already exists")
        given = given_options(request.options)
        enter_cgroup(given, request.bundle_path)
        options = resolved(self._namespace, given)
        container = None
        if sandbox.prepare(request.bundle_path, request.netns_path, request.annotations):
            container = self._container(request.sandbox_id, request.bundle_path, options)
        elif request.rootfs:
            raise InvalidArgument("a sandbox without a process has no use for a rootfs")
        made = Sandbox(
            self._loop,
            sandbox_id=request.sandbox_id,
            bundle=request.bundle_path,
            socket=self._socket,
            container=container,
        )
        self._sandbox = made
        try:
            await made.create(decode_mounts(request.rootfs))
        except BaseException:
            self._sandbox = None
            raise
        return pb.CreateSandboxResponse()

    async def start_sandbox(self, request: Any) -> Message:
        """Let it run."""
        found = self._find(request.sandbox_id)
        await found.start()
        return pb.StartSandboxResponse(
            pid=found.pid, created_at=messages.timestamp(found.created_at)
        )

    async def platform(self, request: Any) -> Message:
        """What its containers are to be made for."""
        self._find(request.sandbox_id)
        machine = os.uname().machine
        architecture = _ARCHITECTURES.get(machine, machine)
        return pb.PlatformResponse(platform=Platform(os="linux", architecture=architecture))

    async def stop_sandbox(self, request: Any) -> Message:
        """End it; it stays until it is shut down."""
        await self._find(request.sandbox_id).stop(request.timeout_secs)
        self._ended()
        return pb.StopSandboxResponse()

    async def wait_sandbox(self, request: Any) -> Message:
        """Answer when it has ended."""
        ended = await self._find(request.sandbox_id).ended
        return pb.WaitSandboxResponse(
            exit_status=ended.status, exited_at=messages.timestamp(ended.at)
        )

    async def sandbox_status(self, request: Any) -> Message:
        """What is known of it, in the words of Kubernetes."""
        found = self._find(request.sandbox_id)
        response = pb.SandboxStatusResponse(
            sandbox_id=found.sandbox_id,
            pid=found.pid,
            state="SANDBOX_READY" if found.ready else "SANDBOX_NOTREADY",
            created_at=messages.timestamp(found.created_at),
        )
        if found.exit is not None:
            response.exited_at = messages.timestamp(found.exit.at)
        if request.verbose:
            response.info = {"bundle": json.dumps(found.bundle), "shimPid": str(os.getpid())}
        return response

    async def ping_sandbox(self, request: Any) -> Message:
        """Whether it is there."""
        self._find(request.sandbox_id)
        return pb.PingResponse()

    async def shutdown_sandbox(self, request: Any) -> Message:
        """Take it away and end the shim; raises FailedPrecondition while it has containers."""
        found = self._find(request.sandbox_id)
        if not self._tasks.empty:
            raise FailedPrecondition(f"sandbox {request.sandbox_id} has containers")
        await found.delete()
        self._sandbox = None
        self._shut_down()
        return pb.ShutdownSandboxResponse()

    async def sandbox_metrics(self, request: Any) -> Message:
        """What its own process uses."""
        found = self._find(request.sandbox_id)
        return pb.SandboxMetricsResponse(
            metrics=Metric(
                timestamp=messages.timestamp(time.time_ns()),
                id=request.sandbox_id,
                data=messages.pack(found.metrics()),
            )
        )


_METHODS: Final[dict[str, tuple[type[Message], Callable[[SandboxService, Any], Answer]]]] = {
    "CreateSandbox": (pb.CreateSandboxRequest, SandboxService.create_sandbox),
    "StartSandbox": (pb.StartSandboxRequest, SandboxService.start_sandbox),
    "Platform": (pb.PlatformRequest, SandboxService.platform),
    "StopSandbox": (pb.StopSandboxRequest, SandboxService.stop_sandbox),
    "WaitSandbox": (pb.WaitSandboxRequest, SandboxService.wait_sandbox),
    "SandboxStatus": (pb.SandboxStatusRequest, SandboxService.sandbox_status),
    "PingSandbox": (pb.PingRequest, SandboxService.ping_sandbox),
    "ShutdownSandbox": (pb.ShutdownSandboxRequest, SandboxService.shutdown_sandbox),
    "SandboxMetrics": (pb.SandboxMetricsRequest, SandboxService.sandbox_metrics),
}
