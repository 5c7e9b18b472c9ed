"""containerd.services.mounts.v1.Mounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from google.protobuf.empty_pb2 import Empty

from containerd.filters.match import Filter
from containerd.mounts.manager import MountManager
from containerd.services.masks import label_changes
from wire.gen.containerd.services.mounts.v1 import mounts_pb2 as pb
from wire.gen.containerd.types.mount_pb2 import ActivationInfo


class MountsService:
    """Activations of the current namespace."""

    def __init__(self, manager: MountManager) -> None:
        self._manager = manager

    async def activate(self, request: pb.ActivateRequest, _context: Any) -> pb.ActivateResponse:
        """Make the mounts that must be made here."""
        info = await self._manager.activate(
            request.name, request.mounts, dict(request.labels), temporary=request.temporary
        )
        return pb.ActivateResponse(info=info)

    async def deactivate(self, request: pb.DeactivateRequest, _context: Any) -> Empty:
        """Take them away."""
        await self._manager.deactivate(request.name)
        return Empty()

    async def info(self, request: pb.InfoRequest, _context: Any) -> pb.InfoResponse:
        """One activation."""
        return pb.InfoResponse(info=await self._manager.info(request.name))

    async def update(self, request: pb.UpdateRequest, _context: Any) -> pb.UpdateResponse:
        """Change labels; the original changes nothing."""
        name = request.info.name
        labels, replace = label_changes(
            request.update_mask.paths, request.info.labels, f'mount "{name}"'
        )
        return pb.UpdateResponse(info=await self._manager.set_labels(name, labels, replace=replace))

    async def list(self, request: pb.ListRequest, _context: Any) -> AsyncIterator[pb.ListMessage]:
        """Those that match, one a message."""
        wanted = Filter(request.filters)
        for info in await self._manager.list():
            if wanted.matches(partial(_field, info)):
                yield pb.ListMessage(info=info)


def _field(info: ActivationInfo, path: tuple[str, ...]) -> str | None:
    match path:
        case ("name", *_):
            return str(info.name)
        case ("labels", *rest):
            return info.labels.get(".".join(rest))
        case _:
            return None
