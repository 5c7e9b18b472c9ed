"""containerd.services.namespaces.v1.Namespaces."""

from __future__ import annotations

from functools import partial
from typing import Any

from google.protobuf.empty_pb2 import Empty

from containerd.events.exchange import Exchange
from containerd.filters.match import Filter
from containerd.metadata.namespaces import NamespaceStore
from containerd.services.masks import label_changes
from wire import namespaces
from wire.errors import InvalidArgument
from wire.gen.containerd.events import namespace_pb2 as events
from wire.gen.containerd.services.namespaces.v1 import namespace_pb2 as pb


class NamespacesService:
    """All namespaces; the calls themselves need none."""

    def __init__(self, store: NamespaceStore, exchange: Exchange) -> None:
        self._store = store
        self._exchange = exchange

    async def get(self, request: pb.GetNamespaceRequest, _context: Any) -> pb.GetNamespaceResponse:
        """One."""
        labels = await self._store.labels(request.name)
        return pb.GetNamespaceResponse(namespace=pb.Namespace(name=request.name, labels=labels))

    async def list(
        self, request: pb.ListNamespacesRequest, _context: Any
    ) -> pb.ListNamespacesResponse:
        """Those that match."""
        wanted = Filter([request.filter] if request.filter else [])
        found = await self._store.list()
        return pb.ListNamespacesResponse(
            namespaces=[
                pb.Namespace(name=name, labels=labels)
                for name, labels in found.items()
                if wanted.matches(partial(_field, name, labels))
            ]
        )

    async def create(
        self, request: pb.CreateNamespaceRequest, _context: Any
    ) -> pb.CreateNamespaceResponse:
        """Add one."""
        namespace = request.namespace
        await self._store.create(namespace.name, dict(namespace.labels))
        with namespaces.bind(namespace.name):
            self._exchange.publish(
                "/namespaces/create",
                events.NamespaceCreate(name=namespace.name, labels=namespace.labels),
            )
        return pb.CreateNamespaceResponse(namespace=namespace)

    async def update(
        self, request: pb.UpdateNamespaceRequest, _context: Any
    ) -> pb.UpdateNamespaceResponse:
        """Change labels."""
        name = request.namespace.name
        if not name:
            raise InvalidArgument("namespace name is required for update: invalid argument")
        labels, replace = label_changes(
            request.update_mask.paths, request.namespace.labels, f'namespace "{name}"'
        )
        await self._store.set_labels(name, labels, replace=replace)
        found = pb.Namespace(name=name, labels=await self._store.labels(name))
        with namespaces.bind(name):
            self._exchange.publish(
                "/namespaces/update", events.NamespaceUpdate(name=name, labels=found.labels)
            )
        return pb.UpdateNamespaceResponse(namespace=found)

    async def delete(self, request: pb.DeleteNamespaceRequest, _context: Any) -> Empty:
        """Remove an empty one."""
        await self._store.delete(request.name)
        with namespaces.bind(request.name):
            self._exchange.publish("/namespaces/delete", events.NamespaceDelete(name=request.name))
        return Empty()


def _field(name: str, labels: dict[str, str], path: tuple[str, ...]) -> str | None:
    match path:
        case ("name", *_):
            return name
        case ("labels", *rest):
            return labels.get(".".join(rest))
        case _:
            return None
