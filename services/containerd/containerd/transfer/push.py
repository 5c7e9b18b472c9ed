"""Pushing an image: blobs side by side, then the manifests that name them, the tag in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO, Final, cast

from containerd.content.local import ContentStore
from containerd.images.walk import descend
from wire import transfer_limits
from wire.errors import NotFound
from wire.oci.image import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from wire.registry.registry import Registry

_PARALLEL: Final = 3
_NOTICE_EVERY: Final = 1 << 19
_SOURCE: Final = "containerd.io/distribution.source."

# As for a pull.
Notice = Callable[[str, Descriptor, int, int], None]


class Pusher:
    """Pushes from one content store."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content
        self._slots = asyncio.Semaphore(_PARALLEL)

    async def push(
        self, registry: Registry, tag: str, host: str, target: Descriptor, notice: Notice
    ) -> None:
        """Push what ``target`` names, all platforms of it, under ``tag``, which may be its digest.

        Raises NotFound if a part is not here.
        """
        parts = await asyncio.to_thread(self._parts, target)
        documents = [each for each in parts if each.media_type in MANIFEST_TYPES | INDEX_TYPES]
        blobs = [each for each in parts if each not in documents]
        for each in blobs:
            notice("waiting", each, 0, each.size)
        async with asyncio.TaskGroup() as group:
            for each in blobs:
                group.create_task(self._blob(registry, host, each, notice))
        # Children first: a registry refuses a manifest that names what it does not have.
        for each in reversed(documents):
            name = tag if each.digest == target.digest else each.digest
            document = self._content.read(each.digest)
            await asyncio.to_thread(registry.put_manifest, name, each.media_type, document)
            notice("complete", each, each.size, each.size)

    def _parts(self, target: Descriptor) -> Sequence[Descriptor]:
        found = list(descend(self._content.read, target, self._content.exists))
        for each in found:
            if not self._content.exists(each.digest):
                raise NotFound(f"content {each.digest}: not found")
        return found

    async def _blob(self, registry: Registry, host: str, blob: Descriptor, notice: Notice) -> None:
        async with transfer_limits.slots(self._slots):
            labels = (await self._content.info(blob.digest)).labels
            loop = asyncio.get_running_loop()

            def tell(sent: int) -> None:
                loop.call_soon_threadsafe(notice, "uploading", blob, sent, blob.size)

            done = await asyncio.to_thread(self._send, registry, host, blob, labels, tell)
            notice(done, blob, blob.size, blob.size)

    def _send(
        self,
        registry: Registry,
        host: str,
        blob: Descriptor,
        labels: Mapping[str, str],
        tell: Callable[[int], None],
    ) -> str:
        if registry.has_blob(blob.digest):
            return "already exists"
        source = labels.get(f"{_SOURCE}{host}", "").partition(",")[0]
        location = registry.mount(blob.digest, source if source != registry.repository else "")
        if not location:
            return "mounted"
        registry.upload(
            location,
            blob.digest,
            blob.size,
            lambda: cast("BinaryIO", _Told(self._content.open(blob.digest), tell)),
        )
        return "complete"


class _Told:
    """A file that is sent, and that tells how much of it was."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell
        self._sent = self._told = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._sent += len(data)
        if self._sent - self._told >= _NOTICE_EVERY:
            self._told = self._sent
            self._tell(self._sent)
        return data

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
