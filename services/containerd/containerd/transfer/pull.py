"""Pulling an image: resolve, fetch side by side, unpack in order, and only then name it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from containerd.content.local import ContentStore
from containerd.content.writer import Writer
from containerd.images.labels import children
from containerd.images.walk import INDEX_TYPES, MANIFEST_TYPES, manifest_of, matches
from containerd.remotes.registry import Registry
from containerd.unpack.unpacker import Unpacker
from wire import leases, namespaces
from wire.errors import EngineError, NotFound, Unavailable
from wire.oci.image import Descriptor, ImageConfig, Index, Manifest

logger = logging.getLogger(__name__)

_PARALLEL: Final = 3
_ATTEMPTS: Final = 5
_NOTICE_EVERY: Final = 1 << 19

# Called with the event, what it is about, and the bytes done and in all.
Notice = Callable[[str, Descriptor, int, int], None]


class Puller:
    """Pulls into one content store."""

    def __init__(self, content: ContentStore, unpacker: Unpacker) -> None:
        self._content = content
        self._unpacker = unpacker
        self._fetching: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_PARALLEL)

    async def pull(self, registry: Registry, notice: Notice) -> Descriptor:
        """The target descriptor of an image that is here and unpacked now."""
        target, body = await asyncio.to_thread(registry.resolve)
        await self._keep(registry, target, body)
        notice("resolved", target, target.size, target.size)
        manifest = await self._manifest(registry, target)
        await self._fetch(registry, manifest.config, notice)
        config = ImageConfig.from_bytes(self._content.read(manifest.config.digest))
        loop = asyncio.get_running_loop()
        downloads: dict[str, asyncio.Task[None]] = {}
        for layer in manifest.layers:
            if layer.digest not in downloads:
                notice("waiting", layer, 0, layer.size)
                downloads[layer.digest] = loop.create_task(self._fetch(registry, layer, notice))

        async def wait_for(layer: Descriptor) -> None:
            await downloads[layer.digest]
            notice("extracting", layer, layer.size, layer.size)

        try:
            await self._unpacker.unpack(
                config,
                manifest.config.digest,
                list(manifest.layers),
                lambda layer: notice("extracted", layer, layer.size, layer.size),
                wait_for,
            )
            # A layer whose snapshot exists was not waited for.
            await asyncio.gather(*downloads.values())
        except BaseException:
            for task in downloads.values():
                task.cancel()
            await asyncio.gather(*downloads.values(), return_exceptions=True)
            raise
        return target

    async def _keep(self, registry: Registry, descriptor: Descriptor, body: bytes) -> None:
        labels = {**children(body, descriptor.media_type), **registry.source_labels}
        if not await self._known(descriptor.digest, labels):
            await self._content.add(body, descriptor.digest, labels)

    async def _known(self, digest: str, labels: Mapping[str, str] = {}) -> bool:
        """Whether a blob is here; it is recorded, and held, in the current namespace then."""
        try:
            await self._content.record(digest, labels)
        except NotFound:
            return False
        return True

    async def _manifest(self, registry: Registry, target: Descriptor) -> Manifest:
        """The manifest for this machine, fetched through the index where there is one."""
        while True:
            try:
                descriptor, manifest = manifest_of(self._content.read, target)
            except NotFound:
                missing = self._missing(target)
                if missing is None:
                    raise
                found, body = await asyncio.to_thread(
                    registry.manifest, missing.digest, missing.media_type
                )
                await self._keep(registry, found, body)
                continue
            body = self._content.read(descriptor.digest)
            await self._keep(registry, descriptor, body)
            return manifest

    def _missing(self, target: Descriptor) -> Descriptor | None:
        if not self._content.exists(target.digest):
            return target
        if target.media_type in INDEX_TYPES:
            for entry in Index.from_bytes(
                self._content.read(target.digest), target.media_type
            ).manifests:
                if matches(entry) and entry.media_type in MANIFEST_TYPES | INDEX_TYPES:
                    found = self._missing(entry)
                    if found is not None:
                        return found
        return None

    async def _fetch(self, registry: Registry, descriptor: Descriptor, notice: Notice) -> None:
        """Fetch a blob unless it is here; two pulls of the same one into a namespace share the work."""
        if await self._known(descriptor.digest, registry.source_labels):
            notice("exists", descriptor, descriptor.size, descriptor.size)
            return
        key = namespaces.current(), descriptor.digest
        while True:
            running = self._fetching.get(key)
            if running is None:
                loop = asyncio.get_running_loop()
                running = loop.create_task(self._download(registry, descriptor, notice))
                self._fetching[key] = running
                running.add_done_callback(lambda _: self._fetching.pop(key, None))
            await asyncio.shield(running)
            # The other pull may have failed since, and its blobs may be gone with it.
            if await self._known(descriptor.digest, registry.source_labels):
                break
        notice("downloaded", descriptor, descriptor.size, descriptor.size)

    async def _download(self, registry: Registry, descriptor: Descriptor, notice: Notice) -> None:
        async with self._slots:
            loop = asyncio.get_running_loop()

            def tell(done: int) -> None:
                loop.call_soon_threadsafe(notice, "downloading", descriptor, done, descriptor.size)

            writer = await asyncio.to_thread(self._download_now, registry, descriptor, tell)
            # It belongs to several pulls; the lease of the first may be gone. Each takes it into its own.
            with leases.bind(None):
                await self._content.commit(
                    writer, descriptor.digest, descriptor.size, registry.source_labels
                )

    def _download_now(
        self, registry: Registry, descriptor: Descriptor, tell: Callable[[int], None]
    ) -> Writer:
        writer = self._content.writer()
        told = 0
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    for data in registry.blob(descriptor.digest, writer.size):
                        writer.write(data)
                        if writer.size > descriptor.size:
                            raise Unavailable(
                                f"blob {descriptor.digest} is longer than its descriptor says"
                            )
                        if writer.size - told >= _NOTICE_EVERY:
                            told = writer.size
                            tell(told)
                    break
                except Unavailable as error:
                    # What came is kept; the rest is asked for.
                    if attempt == _ATTEMPTS or writer.size > descriptor.size:
                        raise
                    logger.warning(
                        "download interrupted",
                        extra={
                            "digest": descriptor.digest,
                            "offset": writer.size,
                            "error": str(error),
                        },
                    )
        except (EngineError, OSError):
            writer.abort()
            raise
        return writer
