"""containerd.services.sandbox.v1.Store: records of sandboxes. Their controller is another service."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from containerd.filters.match import Filter
from containerd.gc.collector import Collector
from containerd.services.masks import change_map
from containerd.services.records import Records
from wire.errors import InvalidArgument
from wire.gen.containerd.services.sandbox.v1 import sandbox_pb2 as pb
from wire.gen.containerd.types import sandbox_pb2
from wire.identifiers import validate, validate_labels

_MUTABLE: Final = ("labels", "extensions", "spec", "runtime")


class SandboxStoreService:
    """Sandboxes of the current namespace."""

    def __init__(self, store: Records, collector: Collector) -> None:
        self._store = store
        self._collector = collector

    async def create(self, request: pb.StoreCreateRequest, _context: Any) -> pb.StoreCreateResponse:
        """Add one."""
        sandbox = request.sandbox
        _validate(sandbox)
        sandbox.created_at.GetCurrentTime()
        sandbox.updated_at.CopyFrom(sandbox.created_at)
        await self._store.create(sandbox.sandbox_id, sandbox.SerializeToString())
        return pb.StoreCreateResponse(sandbox=sandbox)

    async def update(self, request: pb.StoreUpdateRequest, _context: Any) -> pb.StoreUpdateResponse:
        """Change fields by their names, or all that may change."""
        given = request.sandbox

        def change(data: bytes) -> bytes:
            found = sandbox_pb2.Sandbox.FromString(data)
            for path in list(request.fields) or _MUTABLE:
                _update(found, given, path)
            _validate(found)
            found.updated_at.GetCurrentTime()
            return found.SerializeToString()

        data = await self._store.modify(given.sandbox_id, change)
        self._collector.schedule()
        return pb.StoreUpdateResponse(sandbox=sandbox_pb2.Sandbox.FromString(data))

    async def get(self, request: pb.StoreGetRequest, _context: Any) -> pb.StoreGetResponse:
        """One sandbox."""
        data = await self._store.get(request.sandbox_id)
        return pb.StoreGetResponse(sandbox=sandbox_pb2.Sandbox.FromString(data))

    async def list(self, request: pb.StoreListRequest, _context: Any) -> pb.StoreListResponse:
        """Those that match."""
        wanted = Filter(request.filters)
        found = [sandbox_pb2.Sandbox.FromString(data) for data in await self._store.list()]
        return pb.StoreListResponse(
            list=[each for each in found if wanted.matches(partial(_field, each))]
        )

    async def delete(self, request: pb.StoreDeleteRequest, _context: Any) -> pb.StoreDeleteResponse:
        """Remove one."""
        await self._store.delete(request.sandbox_id)
        self._collector.schedule()
        return pb.StoreDeleteResponse()


def _validate(sandbox: sandbox_pb2.Sandbox) -> None:
    validate(sandbox.sandbox_id)
    if "" in sandbox.extensions:
        raise InvalidArgument("sandbox extension keys must not be zero-length: invalid argument")
    validate_labels(sandbox.labels)
    if not sandbox.runtime.name:
        raise InvalidArgument("sandbox.Runtime.Name must be set: invalid argument")


def _update(found: sandbox_pb2.Sandbox, given: sandbox_pb2.Sandbox, path: str) -> None:
    head, _, key = path.partition(".")
    match head:
        case "labels":
            change_map(found.labels, given.labels, key)
        case "extensions":
            for name in [key] if key else list(found.extensions):
                found.extensions.pop(name, None)
            for name in [key] if key else list(given.extensions):
                if name in given.extensions:
                    found.extensions[name].CopyFrom(given.extensions[name])
        case "spec" if not key:
            found.spec.CopyFrom(given.spec)
        case "runtime" if not key:
            found.runtime.CopyFrom(given.runtime)
        case _:
            raise InvalidArgument(
                f'cannot update "{path}" field on sandbox "{found.sandbox_id}": invalid argument'
            )


def _field(sandbox: sandbox_pb2.Sandbox, path: tuple[str, ...]) -> str | None:
    match path:
        case ("id", *_):
            return str(sandbox.sandbox_id)
        case ("labels", *rest):
            return sandbox.labels.get(".".join(rest))
        case _:
            return None
