"""`docker load` and `docker import`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from dockerd.events.bus import EventBus
from dockerd.images.download import downloaded
from dockerd.images.importing import imported
from dockerd.images.model import UNNAMED
from dockerd.images.platforms import HOST, Platform
from dockerd.images.reference import Reference, parse
from dockerd.images.store import ImageStore
from dockerd.images.transfer import UNPACKS, Transfers
from wire.errors import InvalidArgument
from wire.gen.containerd.types.transfer import imagestore_pb2, importexport_pb2, progress_pb2

# The names of the archive; an image without one is kept by its digest.
_NAMES: Final = imagestore_pb2.ImageReference(
    name=UNNAMED.removesuffix("@"),
    is_prefix=True,
    allow_overwrite=True,
    add_digest=True,
    skip_named_digest=True,
)


class Loader:
    """Takes images from archives."""

    def __init__(
        self, transfers: Transfers, store: ImageStore, events: EventBus, scratch: str
    ) -> None:
        """``scratch`` is a folder for uploads in progress."""
        self._store = store
        self._transfers = transfers
        self._events = events
        self._scratch = scratch

    async def load(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
        """Docker's progress objects, one for each image of the archive; raises InvalidArgument for what is none."""
        async for notice in self._notices(chunks):
            if "@" in notice.name:
                image_id = await self._store.id_of(notice.desc)
                yield {"stream": f"Loaded image ID: {image_id}\n"}
                self._events.publish("image", "load", image_id, {"name": image_id})
            else:
                name = await self._familiar(notice.name)
                yield {"stream": f"Loaded image: {name}\n"}
                self._events.publish("image", "load", name, {"name": name})

    async def _familiar(self, name: str) -> str:
        """As users write it. What the archive calls an image may be no name at all: nobody could remove it by that."""
        try:
            return parse(name).familiar
        except InvalidArgument:
            await self._store.unname(name, collect=False)
            raise

    async def import_tree(
        self,
        chunks: AsyncIterator[bytes],
        name: Reference | None,
        changes: Sequence[str],
        comment: str,
        platform: Platform = HOST,
    ) -> str:
        """An image of one layer from a root file system's archive; its id. Raises InvalidArgument for bad changes."""
        if name is not None and name.digest:
            raise InvalidArgument("cannot import digest reference")
        full = name.full if name else ""
        async with imported(chunks, self._scratch, full, changes, comment, platform) as (
            image_id,
            archive,
        ):
            async for _ in self._notices(archive):
                pass
        self._events.publish(
            "image", "import", image_id, {"name": name.familiar if name else image_id}
        )
        return image_id

    async def import_from(
        self,
        url: str,
        name: Reference | None,
        changes: Sequence[str],
        comment: str,
        platform: Platform = HOST,
    ) -> AsyncIterator[dict[str, Any]]:
        """The same from a web server, as Docker's progress objects; raises also Unknown."""
        url = url if "://" in url else f"http://{url}"
        yield {"status": f"Downloading from {url}"}
        progress: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

        def told(current: int, total: int) -> None:
            detail = {"current": current, **({"total": total} if total else {})}
            progress.put_nowait({"status": "Importing", "progressDetail": detail})

        importing = asyncio.get_running_loop().create_task(
            self.import_tree(downloaded(url, told), name, changes, comment, platform)
        )
        importing.add_done_callback(lambda _: progress.put_nowait(None))
        try:
            while (entry := await progress.get()) is not None:
                yield entry
            yield {"status": await importing}
        finally:
            importing.cancel()
            await asyncio.gather(importing, return_exceptions=True)

    async def _notices(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[progress_pb2.Progress]:
        stream = await self._transfers.source()
        feeding = asyncio.get_running_loop().create_task(stream.feed(chunks))
        try:
            source = importexport_pb2.ImageImportStream(stream=stream.name)
            destination = imagestore_pb2.ImageStore(extra_references=[_NAMES], unpacks=UNPACKS)
            async for notice in self._transfers.run(source, destination):
                if notice.event == "saved":
                    yield notice
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            stream.close()
