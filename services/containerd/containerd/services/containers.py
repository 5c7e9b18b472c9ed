"""containerd.services.containers.v1.Containers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from google.protobuf.empty_pb2 import Empty

from containerd.events.exchange import Exchange
from containerd.filters.match import Filter
from containerd.gc.collector import Collector
from containerd.services.records import Records
from wire.errors import InvalidArgument
from wire.gen.containerd.events import container_pb2 as events
from wire.gen.containerd.services.containers.v1 import containers_pb2 as pb
from wire.identifiers import validate


class ContainersService:
    """Metadata of containers."""

    def __init__(self, store: Records, exchange: Exchange, collector: Collector) -> None:
        self._store = store
        self._exchange = exchange
        self._collector = collector

    async def get(self, request: pb.GetContainerRequest, _context: Any) -> pb.GetContainerResponse:
        """One container."""
        return pb.GetContainerResponse(
            container=pb.Container.FromString(await self._store.get(request.id))
        )

    async def list(
        self, request: pb.ListContainersRequest, _context: Any
    ) -> pb.ListContainersResponse:
        """Those that match."""
        return pb.ListContainersResponse(containers=await self._matching(request))

    async def list_stream(
        self, request: pb.ListContainersRequest, _context: Any
    ) -> AsyncIterator[pb.ListContainerMessage]:
        """Those that match, one a message."""
        for container in await self._matching(request):
            yield pb.ListContainerMessage(container=container)

    async def _matching(self, request: pb.ListContainersRequest) -> Sequence[pb.Container]:
        wanted = Filter(request.filters)
        found = [pb.Container.FromString(data) for data in await self._store.list()]
        return [each for each in found if wanted.matches(partial(_field, each))]

    async def create(
        self, request: pb.CreateContainerRequest, _context: Any
    ) -> pb.CreateContainerResponse:
        """Add one."""
        container = request.container
        validate(container.id)
        if not container.runtime.name:
            raise InvalidArgument("container.Runtime.Name must be set: invalid argument")
        container.created_at.GetCurrentTime()
        container.updated_at.CopyFrom(container.created_at)
        await self._store.create(container.id, container.SerializeToString())
        self._exchange.publish(
            "/containers/create",
            events.ContainerCreate(
                id=container.id,
                image=container.image,
                runtime=events.ContainerCreate.Runtime(
                    name=container.runtime.name, options=container.runtime.options
                ),
            ),
        )
        return pb.CreateContainerResponse(container=container)

    async def update(
        self, request: pb.UpdateContainerRequest, _context: Any
    ) -> pb.UpdateContainerResponse:
        """Change fields by mask, or all that may change."""
        found = pb.Container.FromString(await self._store.get(request.container.id))
        paths = list(request.update_mask.paths) or [
            "labels",
            "spec",
            "extensions",
            "image",
            "snapshot_key",
        ]
        for path in paths:
            _update(found, request.container, path)
        found.updated_at.GetCurrentTime()
        await self._store.put(found.id, found.SerializeToString())
        self._exchange.publish(
            "/containers/update",
            events.ContainerUpdate(
                id=found.id, image=found.image, labels=found.labels, snapshot_key=found.snapshot_key
            ),
        )
        return pb.UpdateContainerResponse(container=found)

    async def delete(self, request: pb.DeleteContainerRequest, _context: Any) -> Empty:
        """Remove one; its snapshot goes with the next collection."""
        await self._store.delete(request.id)
        self._exchange.publish("/containers/delete", events.ContainerDelete(id=request.id))
        self._collector.schedule()
        return Empty()


def _update(found: pb.Container, given: pb.Container, path: str) -> None:
    head, _, key = path.partition(".")
    if head == "labels" and key:
        if given.labels.get(key):
            found.labels[key] = given.labels[key]
        else:
            found.labels.pop(key, None)
        return
    if key or head not in {
        "labels",
        "spec",
        "extensions",
        "image",
        "snapshot_key",
        "snapshotter",
        "runtime",
    }:
        raise InvalidArgument(f"cannot update {path!r} field on {found.id!r}: invalid argument")
    found.ClearField(head)
    only = pb.Container()
    only.CopyFrom(given)
    for field in list(only.DESCRIPTOR.fields_by_name):
        if field != head:
            only.ClearField(field)
    found.MergeFrom(only)


def _field(container: pb.Container, path: tuple[str, ...]) -> str | None:
    match path:
        case ("id",):
            return str(container.id)
        case ("image",):
            return str(container.image)
        case ("runtime", "name"):
            return str(container.runtime.name)
        case ("labels", *rest):
            return container.labels.get(".".join(rest))
        case _:
            return None
