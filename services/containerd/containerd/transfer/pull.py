"""Pulling an image: resolve, fetch side by side, unpack in order, and only then name it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Final

from containerd.content.local import ContentStore
from containerd.content.writer import Writer
from containerd.images.labels import children
from containerd.images.walk import fits, manifests, matches
from containerd.unpack.unpacker import Unpacker
from wire import leases, namespaces, transfer_limits
from wire.errors import InvalidArgument, NotFound
from wire.oci.image import (
    CONFIG_TYPES,
    INDEX_TYPES,
    MAX_DOCUMENT,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    Platform,
)
from wire.registry.errors import RegistryFailed
from wire.registry.registry import Registry

logger = logging.getLogger(__name__)

_PARALLEL: Final = 3
# An image has a few of each; one that is made to keep us busy has as many as fit.
_MOST_INDEXES: Final = 100
_MOST_MANIFESTS: Final = 100
_NOTICE_EVERY: Final = 1 << 19

# Called with the event, what it is about, and the bytes done and in all.
Notice = Callable[[str, Descriptor, int, int], None]
# Unpacks one image: tells of each layer that is done, and waits for each before it is read.
Unpacking = Callable[
    [Callable[[Descriptor], None], Callable[[Descriptor], Awaitable[None]]], Awaitable[str]
]


class _Holding:
    """Takes blobs that are here into the namespace and the lease of one pull; those asked for meanwhile go together."""

    def __init__(self, content: ContentStore, labels: Mapping[str, str]) -> None:
        self._content = content
        self._labels = labels
        self._asked: dict[str, asyncio.Future[bool]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def known(self, digest: str) -> bool:
        """Whether a blob is here; it is recorded, and held, then."""
        loop = asyncio.get_running_loop()
        asked = self._asked.setdefault(digest, loop.create_future())
        if self._asking is None:
            self._asking = loop.create_task(self._ask())
        return await asyncio.shield(asked)

    async def _ask(self) -> None:
        try:
            while self._asked:
                asked, self._asked = self._asked, {}
                try:
                    found = await self._content.known(asked, self._labels)
                except Exception as error:  # noqa: BLE001 - it is raised where it was asked
                    for future in asked.values():
                        future.set_exception(error)
                        future.exception()  # whoever asked may be gone
                else:
                    for digest, future in asked.items():
                        future.set_result(digest in found)
        finally:
            self._asking = None


class Puller:
    """Pulls into one content store."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content
        self._fetching: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(_PARALLEL)

    async def pull(
        self,
        registry: Registry,
        notice: Notice,
        platforms: Sequence[Platform],
        unpacker: Unpacker | None,
        unpacks: Sequence[Platform] = (),
    ) -> Descriptor:
        """The target descriptor of an image that is here now.

        With ``unpacker`` it is unpacked for the first of ``unpacks`` that it is for, or without any for this machine. Without
        ``platforms`` only what this machine needs is fetched. Raises NotFound if the image is for none of them.
        """
        target, body = await asyncio.to_thread(registry.resolve)
        await self._keep(registry, target, body)
        notice("resolved", target, target.size, target.size)
        chosen = await self._choose(registry, target, platforms)
        images = [await self._manifest(registry, each) for each in chosen]
        holding = _Holding(self._content, registry.source_labels)
        for manifest in images:
            await self._fetch(registry, manifest.config, holding, notice)
        unpacking = None
        if unpacker is not None and (wanted := self._wanted(chosen, images, unpacks)) is not None:
            unpacking = partial(unpacker.unpack, *wanted)
        await self._fetch_layers(registry, images, holding, notice, unpacking)
        return target

    def _wanted(
        self,
        chosen: Sequence[Descriptor],
        images: Sequence[Manifest],
        unpacks: Sequence[Platform],
    ) -> tuple[ImageConfig, str, Sequence[Descriptor]] | None:
        """The image that is to be unpacked: its config, that one's digest, and the layers."""
        for descriptor, manifest in zip(chosen, images, strict=True):
            config = self._content.read(manifest.config.digest)
            platform = descriptor.platform
            wanted = platform is None or any(fits(platform, each) for each in unpacks)
            if wanted if unpacks else matches(descriptor):
                found = ImageConfig.from_bytes(config)
                return found, manifest.config.digest, list(manifest.layers)
        return None

    async def _fetch_layers(
        self,
        registry: Registry,
        images: Sequence[Manifest],
        holding: _Holding,
        notice: Notice,
        unpacking: Unpacking | None,
    ) -> None:
        """Fetch side by side, and unpack in order what has come."""
        loop = asyncio.get_running_loop()
        downloads: dict[str, asyncio.Task[None]] = {}
        for layer in (layer for manifest in images for layer in manifest.layers):
            if layer.digest not in downloads:
                notice("waiting", layer, 0, layer.size)
                downloads[layer.digest] = loop.create_task(
                    self._fetch(registry, layer, holding, notice)
                )

        async def wait_for(layer: Descriptor) -> None:
            await downloads[layer.digest]
            notice("extracting", layer, layer.size, layer.size)

        try:
            if unpacking is not None:
                await unpacking(
                    lambda layer: notice("extracted", layer, layer.size, layer.size), wait_for
                )
            # A layer whose snapshot exists was not waited for.
            await asyncio.gather(*downloads.values())
        except BaseException:
            for task in downloads.values():
                task.cancel()
            await asyncio.gather(*downloads.values(), return_exceptions=True)
            raise

    async def _keep(self, registry: Registry, descriptor: Descriptor, body: bytes) -> None:
        labels = {**children(body, descriptor.media_type), **registry.source_labels}
        if not await self._content.known((descriptor.digest,), labels):
            await self._content.add(body, descriptor.digest, labels)

    async def _choose(
        self, registry: Registry, target: Descriptor, platforms: Sequence[Platform]
    ) -> Sequence[Descriptor]:
        """The manifests to fetch; indexes below an index are fetched for it."""
        await self._fetch_indexes(registry, target)
        found = list(manifests(self._content.read, target))
        if not platforms or (len(found) == 1 and found[0] is target):
            chosen = [each for each in found if matches(each)][:1]
        else:
            chosen = [
                each
                for each in found
                if each.platform is None or any(fits(each.platform, one) for one in platforms)
            ]
        if len(chosen) > _MOST_MANIFESTS:
            raise InvalidArgument(
                f"image has more than {_MOST_MANIFESTS} manifests for the platforms that are wanted"
            )
        if not chosen:
            wanted = ", ".join(f"{each.os}/{each.architecture}" for each in platforms)
            raise NotFound(
                f"no match for platform {wanted or 'linux/amd64'} in manifest: not found"
            )
        return chosen

    async def _fetch_indexes(self, registry: Registry, target: Descriptor) -> None:
        seen = {target.digest}
        pending = [target]
        while pending:
            each = pending.pop()
            if each.media_type not in INDEX_TYPES:
                continue
            if len(seen) > _MOST_INDEXES:
                raise InvalidArgument(f"image has more than {_MOST_INDEXES} indexes")
            document = await self._document(registry, each)
            for entry in Index.from_bytes(document, each.media_type).manifests:
                if entry.media_type in INDEX_TYPES and entry.digest not in seen:
                    seen.add(entry.digest)
                    pending.append(entry)

    async def _manifest(self, registry: Registry, descriptor: Descriptor) -> Manifest:
        document = await self._document(registry, descriptor)
        return Manifest.from_bytes(document, descriptor.media_type)

    async def _document(self, registry: Registry, descriptor: Descriptor) -> bytes:
        """A manifest or an index, which is here then, with its labels."""
        if not self._content.exists(descriptor.digest):
            found, body = await asyncio.to_thread(
                registry.manifest, descriptor.digest, descriptor.media_type
            )
            await self._keep(registry, found, body)
            return body
        body = self._content.read(descriptor.digest)
        await self._keep(registry, descriptor, body)
        return body

    async def _fetch(
        self, registry: Registry, descriptor: Descriptor, holding: _Holding, notice: Notice
    ) -> None:
        """Fetch a blob unless it is here; two pulls of the same one into a namespace share the work."""
        if await holding.known(descriptor.digest):
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
            if await holding.known(descriptor.digest):
                break
        notice("downloaded", descriptor, descriptor.size, descriptor.size)

    async def _download(self, registry: Registry, descriptor: Descriptor, notice: Notice) -> None:
        async with transfer_limits.slots(self._slots):
            loop = asyncio.get_running_loop()

            def tell(done: int) -> None:
                loop.call_soon_threadsafe(notice, "downloading", descriptor, done, descriptor.size)

            writer = await asyncio.to_thread(self._download_now, registry, descriptor, tell)
            # It belongs to several pulls; the lease of the first may be gone. Each takes it into its own.
            try:
                with leases.bind(None):
                    await self._content.commit(
                        writer, descriptor.digest, descriptor.size, registry.source_labels
                    )
            except BaseException:
                writer.abort()
                raise

    def _download_now(
        self, registry: Registry, descriptor: Descriptor, tell: Callable[[int], None]
    ) -> Writer:
        if descriptor.media_type in CONFIG_TYPES and descriptor.size > MAX_DOCUMENT:
            raise InvalidArgument(f"config {descriptor.digest} is larger than {MAX_DOCUMENT} bytes")
        writer = self._content.writer()
        told = 0
        try:
            attempts = transfer_limits.attempts()
            for attempt in range(1, attempts + 1):
                try:
                    for data in registry.blob(descriptor.digest, writer.size):
                        writer.write(data)
                        if writer.size > descriptor.size:
                            raise RegistryFailed(
                                f"blob {descriptor.digest} is longer than its descriptor says"
                            )
                        if writer.size - told >= _NOTICE_EVERY:
                            told = writer.size
                            tell(told)
                    break
                except RegistryFailed as error:
                    # What came is kept; the rest is asked for.
                    if attempt == attempts or writer.size > descriptor.size:
                        raise
                    logger.warning(
                        "download interrupted",
                        extra={
                            "digest": descriptor.digest,
                            "offset": writer.size,
                            "error": str(error),
                        },
                    )
        except BaseException:
            # Also what a connection that was closed under us raises.
            writer.abort()
            raise
        return writer
