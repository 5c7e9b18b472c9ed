"""Making layers and documents in containerd's stores, held by a lease until something names them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.empty_pb2 import Empty

from dockerd.containerd_client.client import Containerd
from wire.errors import AlreadyExists, EngineError, NotFound
from wire.gen.containerd.services.content.v1 import content_pb2
from wire.gen.containerd.services.diff.v1 import diff_pb2
from wire.gen.containerd.services.leases.v1 import leases_pb2
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2 as snapshots
from wire.gen.containerd.types import descriptor_pb2, mount_pb2
from wire.oci.image import chain_id

_SNAPSHOTTER: Final = "overlayfs"
_SERVICE: Final = "snapshots.v1.Snapshots"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_LONGEST: Final = timedelta(hours=1)


class Layers:
    """What committing a container needs of containerd, under one lease."""

    def __init__(self, containerd: Containerd, lease: str) -> None:
        self._containerd = containerd
        self._lease = lease

    @classmethod
    @contextlib.asynccontextmanager
    async def leased(cls, containerd: Containerd) -> AsyncIterator[Layers]:
        """What is made in the block is held; what nothing names by its end is collected. It expires by itself, too."""
        lease = f"dockerd-{secrets.token_hex(8)}"
        expires = (datetime.now(UTC) + _LONGEST).strftime("%Y-%m-%dT%H:%M:%SZ")
        await containerd.call(
            "leases.v1.Leases",
            "Create",
            leases_pb2.CreateRequest(id=lease, labels={"containerd.io/gc.expire": expires}),
            leases_pb2.CreateResponse,
        )
        try:
            yield cls(containerd, lease)
        finally:
            with contextlib.suppress(EngineError):
                request = leases_pb2.DeleteRequest(id=lease)
                await containerd.call("leases.v1.Leases", "Delete", request, Empty)

    async def compare(self, key: str, parent: str) -> descriptor_pb2.Descriptor:
        """The layer that makes snapshot ``key`` of ``parent``, which may be empty."""
        view = f"{self._lease}-view"
        left = await self._view(view, parent) if parent else []
        try:
            right = await self._containerd.call(
                _SERVICE,
                "Mounts",
                snapshots.MountsRequest(snapshotter=_SNAPSHOTTER, key=key),
                snapshots.MountsResponse,
            )
            response = await self._containerd.call(
                "diff.v1.Diff",
                "Diff",
                diff_pb2.DiffRequest(left=left, right=right.mounts, media_type=_LAYER, ref=view),
                diff_pb2.DiffResponse,
                lease=self._lease,
            )
        finally:
            if parent:
                await self._remove(view)
        return response.diff

    async def unpack(self, layer: descriptor_pb2.Descriptor, below: list[str]) -> str:
        """Make the layer's snapshot on those with the diff IDs ``below``; its own diff ID."""
        parent = chain_id(below) if below else ""
        key = f"{self._lease}-layer"
        prepared = await self._containerd.call(
            _SERVICE,
            "Prepare",
            snapshots.PrepareSnapshotRequest(snapshotter=_SNAPSHOTTER, key=key, parent=parent),
            snapshots.PrepareSnapshotResponse,
            lease=self._lease,
        )
        try:
            applied = await self._containerd.call(
                "diff.v1.Diff",
                "Apply",
                diff_pb2.ApplyRequest(diff=layer, mounts=prepared.mounts),
                diff_pb2.ApplyResponse,
                lease=self._lease,
            )
            diff_id = applied.applied.digest
            await self._commit(chain_id([*below, diff_id]), key)
        except BaseException:
            await self._remove(key)
            raise
        return diff_id

    async def _commit(self, name: str, key: str) -> None:
        # Before, so that one which is there already is not collected as long as the lease lives.
        resource = leases_pb2.Resource(id=name, type=f"snapshots/{_SNAPSHOTTER}")
        held = leases_pb2.AddResourceRequest(id=self._lease, resource=resource)
        await self._containerd.call("leases.v1.Leases", "AddResource", held, Empty)
        request = snapshots.CommitSnapshotRequest(snapshotter=_SNAPSHOTTER, name=name, key=key)
        try:
            await self._containerd.call(_SERVICE, "Commit", request, Empty, lease=self._lease)
        except AlreadyExists:
            # The same layer, made before.
            await self._remove(key)

    async def write(self, digest: str, data: bytes, labels: dict[str, str]) -> None:
        """A small blob; harmless if it is there."""
        request = content_pb2.WriteContentRequest(
            action=content_pb2.COMMIT,
            ref=f"{self._lease}-{digest}",
            total=len(data),
            expected=digest,
            data=data,
            labels=labels,
        )
        with contextlib.suppress(AlreadyExists):
            await self._containerd.exchange(
                "content.v1.Content",
                "Write",
                request,
                content_pb2.WriteContentResponse,
                lease=self._lease,
            )

    async def mounts(self, name: str) -> list[mount_pb2.Mount]:
        """What it takes to see a committed snapshot; raises NotFound."""
        view = f"{self._lease}-view"
        try:
            return await self._view(view, name)
        finally:
            await self._remove(view)

    async def _view(self, key: str, parent: str) -> list[mount_pb2.Mount]:
        response = await self._containerd.call(
            _SERVICE,
            "View",
            snapshots.ViewSnapshotRequest(snapshotter=_SNAPSHOTTER, key=key, parent=parent),
            snapshots.ViewSnapshotResponse,
            lease=self._lease,
        )
        return list(response.mounts)

    async def _remove(self, key: str) -> None:
        with contextlib.suppress(NotFound):
            request = snapshots.RemoveSnapshotRequest(snapshotter=_SNAPSHOTTER, key=key)
            await self._containerd.call(_SERVICE, "Remove", request, Empty)
