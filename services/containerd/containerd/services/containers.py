"""containerd.services.containers.v1.Containers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty

from containerd.events.exchange import Exchange
from containerd.filters.match import Filter
from containerd.gc.collector import Collector
from containerd.services.masks import change_map
from containerd.services.records import Records
from wire.errors import InvalidArgument
from wire.gen.containerd.events import container_pb2 as events
from wire.gen.containerd.services.containers.v1 import containers_pb2 as pb
from wire.identifiers import validate, validate_labels

# Upstream names the snapshot key without the underscore of the field.
_MUTABLE: Final = ("labels", "spec", "extensions", "image", "snapshotkey")


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
        try:
            _validate(container)
        except InvalidArgument as error:
            raise InvalidArgument(f"create container failed validation: {error}") from None
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
        given = request.container
        if not given.id:
            raise InvalidArgument("must specify a container id: invalid argument")

        def change(data: bytes) -> bytes:
            found = pb.Container.FromString(data)
            paths = list(request.update_mask.paths)
            if not paths:
                _refuse_immutable(found, given)
            for path in paths or _MUTABLE:
                _update(found, given, path)
            try:
                _validate(found)
            except InvalidArgument as error:
                raise InvalidArgument(f"update failed validation: {error}") from None
            found.updated_at.GetCurrentTime()
            return found.SerializeToString()

        found = pb.Container.FromString(await self._store.modify(given.id, change))
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


def _validate(container: pb.Container) -> None:
    validate(container.id)
    if "" in container.extensions:
        raise InvalidArgument("container.Extension keys must not be zero-length: invalid argument")
    validate_labels(container.labels)
    if not container.runtime.name:
        raise InvalidArgument("container.Runtime.Name must be set: invalid argument")
    if not container.HasField("spec"):
        raise InvalidArgument("container.Spec must be set: invalid argument")
    if container.snapshot_key and not container.snapshotter:
        raise InvalidArgument(
            "container.Snapshotter must be set if container.SnapshotKey is set: invalid argument"
        )


def _refuse_immutable(found: pb.Container, given: pb.Container) -> None:
    if found.snapshotter != given.snapshotter:
        raise InvalidArgument("container.Snapshotter field is immutable: invalid argument")
    if found.runtime.name != given.runtime.name:
        raise InvalidArgument("container.Runtime.Name field is immutable: invalid argument")


def _update(found: pb.Container, given: pb.Container, path: str) -> None:
    head, _, key = path.partition(".")
    match head:
        case "labels":
            change_map(found.labels, given.labels, key)
        case "extensions" if key:
            found.extensions.pop(key, None)
            if key in given.extensions:
                found.extensions[key].CopyFrom(given.extensions[key])
        case "extensions":
            found.extensions.clear()
            for name, value in given.extensions.items():
                found.extensions[name].CopyFrom(value)
        case "spec" if not key:
            found.spec.CopyFrom(given.spec)
        case "image" if not key:
            found.image = given.image
        case "snapshotkey" | "snapshot_key" if not key:
            found.snapshot_key = given.snapshot_key
        case _:
            raise InvalidArgument(f'cannot update "{path}" field on "{found.id}": invalid argument')


def _field(container: pb.Container, path: tuple[str, ...]) -> str | None:
    match path:
        case ("id", *_):
            return str(container.id) or None
        case ("image", *_):
            return str(container.image) or None
        case ("runtime", "name", *_):
            return str(container.runtime.name) or None
        case ("labels", *rest):
            return container.labels.get(".".join(rest))
        case _:
            return None
