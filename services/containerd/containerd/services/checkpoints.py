"""Checkpoints of tasks as content: what a dump has left, and the container's spec beside it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Any, Final, cast

from google.protobuf import any_pb2

from containerd.archive.extract import extract
from containerd.content.ingest import Ingests
from containerd.content.local import ContentStore
from containerd.diff.compare import Sink, compare
from containerd.events.exchange import Exchange
from containerd.snapshots.overlay import Mount
from wire.errors import AlreadyExists, InvalidArgument, NotFound
from wire.gen.containerd.events import content_pb2 as events
from wire.gen.containerd.types import descriptor_pb2
from wire.oci.image import OCI_LAYER

IMAGES: Final = "application/vnd.containerd.container.criu.checkpoint.criu.tar"
SPEC: Final = "application/vnd.containerd.container.checkpoint.config.v1+proto"


class Checkpoints:
    """Those of the current namespace."""

    def __init__(
        self, content: ContentStore, ingests: Ingests, exchange: Exchange, place: str
    ) -> None:
        """``place`` as for diffs: an empty directory to mount on where nobody sees it."""
        self._content = content
        self._ingests = ingests
        self._exchange = exchange
        self._place = place

    async def store(self, directory: str, spec: any_pb2.Any) -> list[descriptor_pb2.Descriptor]:
        """The images in a directory and a spec, as content; the current lease holds both."""

        def archive(sink: Sink) -> None:
            compare([], [Mount("bind", directory, ("ro",))], OCI_LAYER, sink, self._place, None)

        def write(sink: Sink) -> None:
            sink.write(spec.SerializeToString())

        return [await self._add(IMAGES, archive), await self._add(SPEC, write)]

    async def _add(self, media_type: str, write: Any) -> descriptor_pb2.Descriptor:
        ref = f"checkpoint-{os.urandom(8).hex()}"
        with self._ingests.locked(ref):
            upload = await self._ingests.begin(ref, 0, "")
            try:
                await asyncio.to_thread(write, upload)
                digest, size = upload.digest, upload.offset
                with contextlib.suppress(AlreadyExists):
                    await self._ingests.commit(upload, size, digest, {})
                    event = events.ContentCreate(digest=digest, size=size)
                    self._exchange.publish("/content/create", event)
            except BaseException:
                upload.close()
                with contextlib.suppress(NotFound):
                    await self._ingests.abort(ref)
                raise
        return descriptor_pb2.Descriptor(media_type=media_type, digest=digest, size=size)

    async def fetch(self, descriptor: descriptor_pb2.Descriptor, directory: str) -> None:
        """Unpack images into a new directory; raises InvalidArgument for content that is none, NotFound."""
        if descriptor.media_type != IMAGES:
            raise InvalidArgument(f'unsupported checkpoint type "{descriptor.media_type}"')
        await self._content.info(descriptor.digest)
        await asyncio.to_thread(self._unpack, descriptor.digest, directory)

    def _unpack(self, digest: str, directory: str) -> None:
        os.mkdir(directory, 0o700)
        with self._content.open(digest) as file:
            extract(cast("Any", file), directory, overlay=False)
