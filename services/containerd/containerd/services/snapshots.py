"""containerd.services.snapshots.v1.Snapshots."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any

from google.protobuf.empty_pb2 import Empty

from containerd.filters.match import Filter
from containerd.gc.collector import Collector
from containerd.services.masks import label_changes
from containerd.snapshots.overlay import Info, Mount, OverlaySnapshotter
from wire.errors import InvalidArgument, NotImplementedYet
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2 as pb
from wire.gen.containerd.types import mount_pb2


class SnapshotsService:
    """Snapshots of the current namespace."""

    def __init__(
        self, snapshotters: Mapping[str, OverlaySnapshotter], collector: Collector
    ) -> None:
        self._snapshotters = snapshotters
        self._collector = collector

    def _of(self, name: str) -> OverlaySnapshotter:
        if not name:
            raise InvalidArgument("snapshotter argument missing: invalid argument")
        found = self._snapshotters.get(name)
        if found is None:
            raise InvalidArgument(f"snapshotter not loaded: {name}: invalid argument")
        return found

    async def prepare(
        self, request: pb.PrepareSnapshotRequest, _context: Any
    ) -> pb.PrepareSnapshotResponse:
        """A writable snapshot."""
        mounts = await self._of(request.snapshotter).prepare(
            request.key, request.parent, dict(request.labels)
        )
        return pb.PrepareSnapshotResponse(mounts=_mounts(mounts))

    async def view(self, request: pb.ViewSnapshotRequest, _context: Any) -> pb.ViewSnapshotResponse:
        """A read-only one."""
        mounts = await self._of(request.snapshotter).prepare(
            request.key, request.parent, dict(request.labels), view=True
        )
        return pb.ViewSnapshotResponse(mounts=_mounts(mounts))

    async def mounts(self, request: pb.MountsRequest, _context: Any) -> pb.MountsResponse:
        """How to mount one."""
        return pb.MountsResponse(
            mounts=_mounts(await self._of(request.snapshotter).mounts(request.key))
        )

    async def commit(self, request: pb.CommitSnapshotRequest, _context: Any) -> Empty:
        """Seal one under a name."""
        snapshotter = self._of(request.snapshotter)
        if request.parent and request.parent != (await snapshotter.stat(request.key)).parent:
            # Plugins with this capability say so in their description; these do not.
            raise NotImplementedYet(
                f"snapshotter {snapshotter.name} cannot rebase on commit: not implemented"
            )
        await snapshotter.commit(request.name, request.key, dict(request.labels))
        return Empty()

    async def remove(self, request: pb.RemoveSnapshotRequest, _context: Any) -> Empty:
        """Remove one without children."""
        await self._of(request.snapshotter).remove(request.key)
        self._collector.schedule()
        return Empty()

    async def stat(self, request: pb.StatSnapshotRequest, _context: Any) -> pb.StatSnapshotResponse:
        """One snapshot."""
        return pb.StatSnapshotResponse(
            info=_info(await self._of(request.snapshotter).stat(request.key))
        )

    async def update(
        self, request: pb.UpdateSnapshotRequest, _context: Any
    ) -> pb.UpdateSnapshotResponse:
        """Change labels."""
        snapshotter = self._of(request.snapshotter)
        if not request.info.name:
            raise InvalidArgument("snapshot name is required for update: invalid argument")
        labels, replace = label_changes(
            request.update_mask.paths, request.info.labels, f'snapshot "{request.info.name}"'
        )
        await snapshotter.set_labels(request.info.name, labels, replace=replace)
        return pb.UpdateSnapshotResponse(info=_info(await snapshotter.stat(request.info.name)))

    async def list(
        self, request: pb.ListSnapshotsRequest, _context: Any
    ) -> AsyncIterator[pb.ListSnapshotsResponse]:
        """Those that match."""
        wanted = Filter(request.filters)
        found = [
            each
            for each in await self._of(request.snapshotter).list()
            if wanted.matches(partial(_field, each))
        ]
        for at in range(0, len(found), 100):
            yield pb.ListSnapshotsResponse(info=[_info(each) for each in found[at : at + 100]])

    async def usage(self, request: pb.UsageRequest, _context: Any) -> pb.UsageResponse:
        """Bytes and inodes."""
        size, inodes = await self._of(request.snapshotter).usage(request.key)
        return pb.UsageResponse(size=size, inodes=inodes)

    async def cleanup(self, request: pb.CleanupRequest, _context: Any) -> Empty:
        """Remove what a crash left."""
        await self._of(request.snapshotter).sweep()
        return Empty()


def _mounts(mounts: Sequence[Mount]) -> Sequence[mount_pb2.Mount]:
    return [
        mount_pb2.Mount(type=each.type, source=each.source, options=each.options) for each in mounts
    ]


def _info(info: Info) -> pb.Info:
    found = pb.Info(name=info.name, parent=info.parent, labels=info.labels)
    found.kind = int(info.kind)  # type: ignore[assignment]
    found.created_at.FromNanoseconds(info.created)
    found.updated_at.FromNanoseconds(info.updated)
    return found


def _field(info: Info, path: tuple[str, ...]) -> str | None:
    match path:
        case ("name", *_):
            return info.name
        case ("parent", *_):
            return info.parent
        case ("kind", *_):
            return info.kind.name.lower()
        case ("labels", *rest):
            return info.labels.get(".".join(rest))
        case _:
            return None
