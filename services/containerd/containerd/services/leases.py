"""containerd.services.leases.v1.Leases."""

from __future__ import annotations

from functools import partial
from typing import Any

from google.protobuf.empty_pb2 import Empty

from containerd.filters.match import Filter
from containerd.gc.collector import Collector
from containerd.metadata.leases import EXPIRE_LABEL, Lease, LeaseStore, Resource
from wire.gen.containerd.services.leases.v1 import leases_pb2 as pb


class LeasesService:
    """Leases of the current namespace."""

    def __init__(self, store: LeaseStore, collector: Collector) -> None:
        self._store = store
        self._collector = collector

    async def create(self, request: pb.CreateRequest, _context: Any) -> pb.CreateResponse:
        """Add one."""
        lease = await self._store.create(request.id, dict(request.labels))
        if EXPIRE_LABEL in lease.labels:
            # The collector has to learn of its time.
            self._collector.schedule()
        return pb.CreateResponse(lease=_lease(lease))

    async def delete(self, request: pb.DeleteRequest, _context: Any) -> Empty:
        """End one; what it held goes with the next collection, at once if ``sync``."""
        await self._store.delete(request.id)
        if request.sync:
            await self._collector.collect_for_caller()
        else:
            self._collector.schedule()
        return Empty()

    async def list(self, request: pb.ListRequest, _context: Any) -> pb.ListResponse:
        """Those that match."""
        wanted = Filter(request.filters)
        found = await self._store.list()
        return pb.ListResponse(
            leases=[_lease(each) for each in found if wanted.matches(partial(_field, each))]
        )

    async def add_resource(self, request: pb.AddResourceRequest, _context: Any) -> Empty:
        """Hold something."""
        await self._store.add(request.id, Resource(request.resource.type, request.resource.id))
        return Empty()

    async def delete_resource(self, request: pb.DeleteResourceRequest, _context: Any) -> Empty:
        """Let something go."""
        await self._store.remove(request.id, Resource(request.resource.type, request.resource.id))
        self._collector.schedule()
        return Empty()

    async def list_resources(
        self, request: pb.ListResourcesRequest, _context: Any
    ) -> pb.ListResourcesResponse:
        """What is held."""
        found = await self._store.resources(request.id)
        return pb.ListResourcesResponse(
            resources=[pb.Resource(id=each.name, type=each.kind) for each in found]
        )


def _lease(lease: Lease) -> pb.Lease:
    found = pb.Lease(id=lease.lease_id, labels=lease.labels)
    found.created_at.FromNanoseconds(lease.created)
    return found


def _field(lease: Lease, path: tuple[str, ...]) -> str | None:
    match path:
        case ("id", *_):
            return lease.lease_id
        case ("labels", *rest):
            return lease.labels.get(".".join(rest))
        case _:
            return None
