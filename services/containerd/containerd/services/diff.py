"""containerd.services.diff.v1.Diff."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

from containerd.content.ingest import Ingests
from containerd.content.local import ContentStore
from containerd.diff.apply import apply
from containerd.diff.compare import check_media_type, compare
from containerd.events.exchange import Exchange
from containerd.images.labels import UNCOMPRESSED
from containerd.snapshots.overlay import Mount
from wire.errors import AlreadyExists
from wire.gen.containerd.events import content_pb2 as events
from wire.gen.containerd.services.diff.v1 import diff_pb2 as pb
from wire.gen.containerd.types import descriptor_pb2, mount_pb2
from wire.oci.image import Descriptor


class DiffService:
    """Layers to snapshots and back."""

    def __init__(
        self, content: ContentStore, ingests: Ingests, exchange: Exchange, place: str
    ) -> None:
        """``place`` is an empty directory on which trees are mounted where nobody sees it."""
        self._content = content
        self._ingests = ingests
        self._exchange = exchange
        self._place = place

    async def apply(self, request: pb.ApplyRequest, _context: Any) -> pb.ApplyResponse:
        """Unpack a layer."""
        diff = request.diff
        await self._content.info(diff.digest)
        applied = await asyncio.to_thread(
            apply,
            self._content,
            Descriptor(media_type=diff.media_type, digest=diff.digest, size=diff.size),
            _mounts(request.mounts),
            sync=request.sync_fs,
        )
        return pb.ApplyResponse(
            applied=descriptor_pb2.Descriptor(
                media_type=applied.media_type, digest=applied.digest, size=applied.size
            )
        )

    async def diff(self, request: pb.DiffRequest, _context: Any) -> pb.DiffResponse:
        """Make a layer of what differs."""
        media_type = check_media_type(request.media_type)
        latest = None
        if request.HasField("source_date_epoch"):
            latest = request.source_date_epoch.seconds
        ref = request.ref or f"diff-{os.urandom(8).hex()}"
        with self._ingests.locked(ref):
            upload = await self._ingests.begin(ref, 0, "")
            try:
                await asyncio.to_thread(upload.truncate)
                diff_id = await asyncio.to_thread(
                    compare,
                    _mounts(request.left),
                    _mounts(request.right),
                    media_type,
                    upload,
                    self._place,
                    latest,
                )
                digest, size = upload.digest, upload.offset
                labels = {UNCOMPRESSED: diff_id, **request.labels}
                try:
                    await self._ingests.commit(upload, size, digest, labels)
                    event = events.ContentCreate(digest=digest, size=size)
                    self._exchange.publish("/content/create", event)
                except AlreadyExists:
                    await self._content.set_labels(digest, labels, replace=False)
            except BaseException:
                upload.close()
                if not request.ref:
                    await self._ingests.abort(ref)
                raise
        return pb.DiffResponse(
            diff=descriptor_pb2.Descriptor(media_type=media_type, digest=digest, size=size)
        )


def _mounts(mounts: Sequence[mount_pb2.Mount]) -> Sequence[Mount]:
    return [Mount(each.type, each.source, tuple(each.options)) for each in mounts]
