"""containerd.services.sandbox.v1.Controller: runs sandboxes in shims. Their records are another service's."""

from __future__ import annotations

import logging
from typing import Any, Final

from containerd.events.exchange import Exchange
from containerd.services.records import Records
from containerd.tasks.sandboxes import Sandbox, SandboxManager
from wire.errors import InvalidArgument, NotFound, Unavailable
from wire.gen.containerd.events import sandbox_pb2 as events
from wire.gen.containerd.services.sandbox.v1 import sandbox_pb2 as pb
from wire.gen.containerd.types import sandbox_pb2
from wire.gen.shim.sandbox.v1 import sandbox_pb2 as shim

logger = logging.getLogger(__name__)

# The original has another one beside this, for CRI.
CONTROLLER: Final = "shim"


class SandboxControllerService:
    """Sandboxes of the current namespace."""

    def __init__(self, manager: SandboxManager, records: Records, exchange: Exchange) -> None:
        self._manager = manager
        self._records = records
        self._exchange = exchange

    async def create(
        self, request: pb.ControllerCreateRequest, _context: Any
    ) -> pb.ControllerCreateResponse:
        """Start a shim and create the sandbox in it; options for the sandbox go before those of its record."""
        _check(request.sandboxer)
        sandbox = request.sandbox
        if not request.HasField("sandbox"):
            # Clients of containerd 1.7 leave it to the record.
            data = await self._records.get(request.sandbox_id)
            sandbox = sandbox_pb2.Sandbox.FromString(data)
        if sandbox.sandbox_id not in {"", request.sandbox_id}:
            raise InvalidArgument(
                f"sandbox id {request.sandbox_id} is not that of the sandbox,"
                f" {sandbox.sandbox_id}: invalid argument"
            )
        create = shim.CreateSandboxRequest(
            sandbox_id=request.sandbox_id,
            rootfs=request.rootfs,
            netns_path=request.netns_path,
            annotations=request.annotations,
        )
        options = request.options if request.options.type_url else sandbox.runtime.options
        if options.type_url:
            create.options.CopyFrom(options)
        await self._manager.create(sandbox.runtime.name, sandbox.spec.value, create)
        self._exchange.publish(
            "/sandboxes/create", events.SandboxCreate(sandbox_id=request.sandbox_id)
        )
        return pb.ControllerCreateResponse(sandbox_id=request.sandbox_id)

    async def start(
        self, request: pb.ControllerStartRequest, _context: Any
    ) -> pb.ControllerStartResponse:
        """Let it run."""
        sandbox = self._find(request)
        started = await self._manager.start(sandbox)
        self._exchange.publish(
            "/sandboxes/start", events.SandboxStart(sandbox_id=sandbox.sandbox_id)
        )
        response = pb.ControllerStartResponse(
            sandbox_id=sandbox.sandbox_id,
            pid=started.pid,
            address=_address(sandbox),
            version=sandbox.version,
        )
        response.created_at.CopyFrom(started.created_at)
        if started.HasField("spec"):
            response.spec.CopyFrom(started.spec)
        return response

    async def platform(
        self, request: pb.ControllerPlatformRequest, _context: Any
    ) -> pb.ControllerPlatformResponse:
        """What its containers are to be made for."""
        sandbox = self._find(request)
        found = await sandbox.call(
            "Platform", shim.PlatformRequest(sandbox_id=sandbox.sandbox_id), shim.PlatformResponse
        )
        return pb.ControllerPlatformResponse(platform=found.platform)

    async def stop(
        self, request: pb.ControllerStopRequest, _context: Any
    ) -> pb.ControllerStopResponse:
        """End it, if it is there and runs."""
        _check(request.sandboxer)
        try:
            sandbox = self._manager.find(request.sandbox_id)
            stop = shim.StopSandboxRequest(
                sandbox_id=sandbox.sandbox_id, timeout_secs=request.timeout_secs
            )
            await sandbox.call("StopSandbox", stop, shim.StopSandboxResponse)
        except (NotFound, Unavailable) as error:
            logger.info("sandbox is stopped already", extra={"error": error.message})
        return pb.ControllerStopResponse()

    async def wait(
        self, request: pb.ControllerWaitRequest, _context: Any
    ) -> pb.ControllerWaitResponse:
        """Answer when it has ended."""
        ended = await self._manager.wait(self._find(request))
        response = pb.ControllerWaitResponse(exit_status=ended.exit_status)
        response.exited_at.CopyFrom(ended.exited_at)
        return response

    async def status(
        self, request: pb.ControllerStatusRequest, _context: Any
    ) -> pb.ControllerStatusResponse:
        """What is known of it; of one that is not there that it has ended, as the original says it."""
        _check(request.sandboxer)
        response = pb.ControllerStatusResponse(sandbox_id=request.sandbox_id)
        try:
            sandbox = self._manager.find(request.sandbox_id)
            found = await sandbox.call(
                "SandboxStatus",
                shim.SandboxStatusRequest(sandbox_id=sandbox.sandbox_id, verbose=request.verbose),
                shim.SandboxStatusResponse,
            )
        except (NotFound, Unavailable):
            response.exited_at.GetCurrentTime()
            return response
        response.pid, response.state = found.pid, found.state
        response.info.update(found.info)
        response.created_at.CopyFrom(found.created_at)
        if found.HasField("exited_at"):
            response.exited_at.CopyFrom(found.exited_at)
        response.extra.CopyFrom(found.extra)
        response.address, response.version = _address(sandbox), sandbox.version
        return response

    async def shutdown(
        self, request: pb.ControllerShutdownRequest, _context: Any
    ) -> pb.ControllerShutdownResponse:
        """Take it away, with its shim."""
        await self._manager.shut_down(self._find(request))
        return pb.ControllerShutdownResponse()

    async def metrics(
        self, request: pb.ControllerMetricsRequest, _context: Any
    ) -> pb.ControllerMetricsResponse:
        """What its own process uses."""
        sandbox = self._find(request)
        found = await sandbox.call(
            "SandboxMetrics",
            shim.SandboxMetricsRequest(sandbox_id=sandbox.sandbox_id),
            shim.SandboxMetricsResponse,
        )
        return pb.ControllerMetricsResponse(metrics=found.metrics)

    async def update(
        self, request: pb.ControllerUpdateRequest, _context: Any
    ) -> pb.ControllerUpdateResponse:
        """The shim is told of no change: as in the original, a record that changes is the store's matter."""
        _check(request.sandboxer)
        if not request.HasField("sandbox"):
            raise InvalidArgument("sandbox can not be nil")
        return pb.ControllerUpdateResponse()

    def _find(self, request: Any) -> Sandbox:
        _check(request.sandboxer)
        return self._manager.find(request.sandbox_id)


def _check(controller: str) -> None:
    # The original wants a name since 2.0, but clients of 1.7 have no word for it, and those up to 2.1 forget it.
    if controller not in {"", CONTROLLER}:
        raise NotFound(f"not found: failed to get sandbox controller by {controller}")


def _address(sandbox: Sandbox) -> str:
    return f"ttrpc+unix://{sandbox.shim.address}" if sandbox.shim is not None else ""
