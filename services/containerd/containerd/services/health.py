"""grpc.health.v1.Health: whoever gets an answer knows that we serve."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any

from wire.errors import NotFound
from wire.gen.health.v1 import health_pb2 as pb


class HealthService:
    """The state of the daemon and of each of its services, which are one and the same."""

    def __init__(self, services: Collection[str], stopping: asyncio.Event) -> None:
        """``services`` are full names; the empty one is the daemon."""
        self._services = {"", *services}
        self._stopping = stopping

    async def check(self, request: pb.HealthCheckRequest, _context: Any) -> pb.HealthCheckResponse:
        """Raises NotFound for a service that we do not have."""
        if request.service not in self._services:
            raise NotFound("unknown service")
        return pb.HealthCheckResponse(status=pb.HealthCheckResponse.SERVING)

    async def watch(
        self, request: pb.HealthCheckRequest, _context: Any
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """The state now, and when the daemon ends."""
        if request.service not in self._services:
            yield pb.HealthCheckResponse(status=pb.HealthCheckResponse.SERVICE_UNKNOWN)
        else:
            yield pb.HealthCheckResponse(status=pb.HealthCheckResponse.SERVING)
        await self._stopping.wait()
        yield pb.HealthCheckResponse(status=pb.HealthCheckResponse.NOT_SERVING)
