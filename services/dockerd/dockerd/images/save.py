"""`docker save`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from dockerd.images.platforms import Platform
from dockerd.images.reference import parse
from dockerd.images.store import ImageStore
from dockerd.images.transfer import ByteStream, Transfers
from wire.errors import InvalidArgument
from wire.gen.containerd.types.transfer import imagestore_pb2, importexport_pb2


class Saver:
    """Writes images into archives."""

    def __init__(self, store: ImageStore, transfers: Transfers) -> None:
        self._store = store
        self._transfers = transfers

    async def names(self, references: Sequence[str], platform: Platform | None) -> list[str]:
        """The full names of what shall be saved; raises NotFound, OtherPlatform, InvalidArgument."""
        if not references:
            raise InvalidArgument("names of images to save are missing")
        names = []
        for each in references:
            image = await self._store.find(each, platform)
            try:
                full = parse(each).full
            except InvalidArgument:
                full = ""
            names.append(full if full in image.names else image.names[0])
        return names

    async def save(self, names: Sequence[str], platform: Platform | None) -> AsyncIterator[bytes]:
        """One archive of the images with these full names, as they are for a platform, or for all that are here.

        Raises NotImplementedYet before anything is read.
        """
        return self._chunks(names, platform, await self._transfers.sink())

    async def _chunks(
        self, names: Sequence[str], platform: Platform | None, stream: ByteStream
    ) -> AsyncIterator[bytes]:
        source = imagestore_pb2.ImageStore(
            name=names[0],
            extra_references=[imagestore_pb2.ImageReference(name=name) for name in names[1:]],
        )
        destination = importexport_pb2.ImageExportStream(stream=stream.name)
        if platform is not None:
            destination.platforms.append(platform.message())
        running = self._transfers.begin(source, destination)
        try:
            async for chunk in stream.chunks(running):
                yield chunk
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            stream.close()
