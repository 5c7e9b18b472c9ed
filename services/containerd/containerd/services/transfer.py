"""containerd.services.transfer.v1.Transfer: pull, import and export, with progress on a stream."""

from __future__ import annotations

import asyncio
import urllib.parse
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from google.protobuf.empty_pb2 import Empty

from containerd.content.local import ContentStore
from containerd.events.exchange import Exchange
from containerd.gc.collector import Collector
from containerd.images.labels import tree
from containerd.images.walk import manifest_of
from containerd.metadata.leases import LeaseStore
from containerd.services.records import Records
from containerd.snapshots.overlay import SNAPSHOTTER
from containerd.transfer.archives import ArchiveReader, write_archive
from containerd.transfer.names import names
from containerd.transfer.pull import Notice, Puller
from containerd.transfer.push import Pusher
from containerd.transfer.streams import Stream, Streams
from containerd.transfer.threads import reading, writing
from containerd.unpack.unpacker import Unpacker
from wire import transfer_limits, typeurl
from wire.errors import InvalidArgument, NotFound, NotImplementedYet
from wire.gen.containerd.events import image_pb2 as events
from wire.gen.containerd.services.images.v1 import images_pb2
from wire.gen.containerd.services.transfer.v1 import transfer_pb2 as pb
from wire.gen.containerd.types import platform_pb2
from wire.gen.containerd.types.transfer import (
    imagestore_pb2,
    importexport_pb2,
    progress_pb2,
    registry_pb2,
)
from wire.oci.image import Descriptor, ImageConfig, Platform
from wire.registry import proxies
from wire.registry.auth import Credentials
from wire.registry.errors import RegistryFailed, Unreachable
from wire.registry.hosts import find_hosts
from wire.registry.reference import parse
from wire.registry.registry import Registry


class TransferService:
    """Moves images between registries, archives and the image store."""

    def __init__(
        self,
        *,
        content: ContentStore,
        images: Records,
        unpackers: Mapping[str, Unpacker],
        puller: Puller,
        pusher: Pusher,
        streams: Streams,
        exchange: Exchange,
        collector: Collector,
        leases: LeaseStore,
        hosts_dir: str,
    ) -> None:
        """``hosts_dir`` has a directory for each registry that is not reached in the plain way, and those of its mirrors."""
        self._content = content
        self._images = images
        self._unpackers = unpackers
        self._puller = puller
        self._pusher = pusher
        self._streams = streams
        self._exchange = exchange
        self._collector = collector
        self._leases = leases
        self._hosts_dir = hosts_dir

    async def transfer(self, request: pb.TransferRequest, context: Any) -> Empty:
        """Any transfer."""
        metadata = context.invocation_metadata() or ()
        with transfer_limits.bind(metadata), proxies.bind(metadata):
            try:
                return await self._transfer(request)
            except Unreachable as error:
                raise RegistryFailed(f"failed to do request: {error.message}") from error

    async def _transfer(self, request: pb.TransferRequest) -> Empty:
        """Dispatch on the types of source and destination."""
        source, destination = typeurl.unpack(request.source), typeurl.unpack(request.destination)
        name = request.options.progress_stream
        progress = self._streams.get(name) if name else None
        try:
            match source, destination:
                case registry_pb2.OCIRegistry(), imagestore_pb2.ImageStore():
                    await self._pull(source, destination, progress)
                case imagestore_pb2.ImageStore(), registry_pb2.OCIRegistry():
                    await self._push(source, destination, progress)
                case importexport_pb2.ImageImportStream(), imagestore_pb2.ImageStore():
                    await self._import(source, destination, progress)
                case imagestore_pb2.ImageStore(), importexport_pb2.ImageExportStream():
                    await self._export(source, destination)
                case imagestore_pb2.ImageStore(), imagestore_pb2.ImageStore():
                    await self._tag(source, destination)
                case _:
                    raise NotImplementedYet(
                        f"transfer from {typeurl.name(request.source)} to {typeurl.name(request.destination)}"
                        " is not implemented"
                    )
        finally:
            if progress is not None:
                progress.close()
        return Empty()

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        """What a transfer brings in is held until it is named; what a failed one brought in is collected."""
        try:
            async with self._leases.transfer():
                yield
        except BaseException:
            self._collector.schedule()
            raise

    async def _pull(
        self,
        source: registry_pb2.OCIRegistry,
        destination: imagestore_pb2.ImageStore,
        progress: Stream | None,
    ) -> None:
        registry, notice = await self._registry(source, progress)
        platforms = [_platform(each) for each in destination.platforms]
        unpacks = [
            _platform(each.platform) for each in destination.unpacks if each.HasField("platform")
        ]
        unpacker = self._unpacker(destination)
        async with self._held():
            target = await self._puller.pull(registry, notice, platforms, unpacker, unpacks)
            for name in _stored(destination, source.reference, target.digest):
                await self._name(name, target, dict(destination.labels))

    def _unpacker(self, destination: imagestore_pb2.ImageStore) -> Unpacker | None:
        """For the snapshotter that is wanted, None if none is; raises InvalidArgument for one that is not here."""
        wanted = {each.snapshotter or SNAPSHOTTER for each in destination.unpacks}
        for name in wanted:
            if name not in self._unpackers:
                raise InvalidArgument(f"snapshotter not loaded: {name}: invalid argument")
        if len(wanted) > 1:
            raise NotImplementedYet(
                f"unpacking into several snapshotters at once ({', '.join(sorted(wanted))}) is not implemented"
            )
        return self._unpackers[wanted.pop()] if wanted else None

    async def _push(
        self,
        source: imagestore_pb2.ImageStore,
        destination: registry_pb2.OCIRegistry,
        progress: Stream | None,
    ) -> None:
        target = images_pb2.Image.FromString(await self._images.get(source.name)).target
        registry, notice = await self._registry(destination, progress)
        reference = parse(destination.reference)
        host = urllib.parse.urlsplit(f"//{reference.host}").hostname or ""
        descriptor = Descriptor(
            media_type=target.media_type, digest=target.digest, size=target.size
        )
        try:
            await self._pusher.push(registry, reference.object, host, descriptor, notice)
        except ExceptionGroup as errors:
            raise _first(errors) from None

    async def _registry(
        self, remote: registry_pb2.OCIRegistry, progress: Stream | None
    ) -> tuple[Registry, Notice]:
        """The repository that a reference names, and how its progress is told."""
        reference = parse(remote.reference)
        resolver = remote.resolver
        hosts = await asyncio.to_thread(
            find_hosts,
            reference.host,
            resolver.host_dir or self._hosts_dir,
            resolver.default_scheme,
        )
        loop = asyncio.get_running_loop()
        auth = self._streams.get(resolver.auth_stream) if resolver.auth_stream else None

        def credentials(host: str) -> Credentials | None:
            if auth is None:
                return None
            return asyncio.run_coroutine_threadsafe(
                _credentials(auth, host, remote.reference), loop
            ).result()

        def notice(event: str, descriptor: Descriptor, done: int, total: int) -> None:
            if progress is not None:
                progress.send(_progress(event, descriptor, done, total))

        return Registry(reference, hosts, credentials, dict(resolver.headers)), notice

    async def _import(
        self,
        source: importexport_pb2.ImageImportStream,
        destination: imagestore_pb2.ImageStore,
        progress: Stream | None,
    ) -> None:
        stream = self._streams.get(source.stream)
        unpacker = self._unpacker(destination)
        async with self._held():
            with self._content.pinned() as pins:
                reader = ArchiveReader(self._content, pins)
                found = await reading(stream, reader.read)
                for digest in reader.digests:
                    await self._content.record(digest)
            for image in found:
                for digest, labels in tree(self._content.read, image.target).items():
                    await self._content.record(digest, labels)
            for image in found:
                if unpacker is not None:
                    _, manifest = manifest_of(self._content.read, image.target)
                    config = ImageConfig.from_bytes(self._content.read(manifest.config.digest))
                    await unpacker.unpack(
                        config,
                        manifest.config.digest,
                        list(manifest.layers),
                        lambda _: None,
                        _at_once,
                    )
                for name in names(image, destination.extra_references):
                    await self._name(name, image.target, dict(destination.labels))
                    if progress is not None:
                        size = image.target.size
                        notice = _progress("saved", image.target, size, size)
                        notice.name = name
                        progress.send(notice)
        if not found:
            raise NotFound("the archive holds no image")

    async def _export(
        self, source: imagestore_pb2.ImageStore, destination: importexport_pb2.ImageExportStream
    ) -> None:
        stream = self._streams.get(destination.stream)
        wanted = [source.name, *(reference.name for reference in source.extra_references)]
        images = {}
        for name in filter(None, wanted):
            image = images_pb2.Image.FromString(await self._images.get(name))
            images[name] = Descriptor(
                media_type=image.target.media_type,
                digest=image.target.digest,
                size=image.target.size,
            )
        if not images:
            raise InvalidArgument("no image to export was named")
        platforms = [_platform(each) for each in destination.platforms]
        try:
            await writing(stream, lambda out: write_archive(self._content, images, out, platforms))
        finally:
            stream.close()

    async def _tag(
        self, source: imagestore_pb2.ImageStore, destination: imagestore_pb2.ImageStore
    ) -> None:
        """Another name for an image, which then is not that of another one any more."""
        image = images_pb2.Image.FromString(await self._images.get(source.name))
        target = Descriptor(
            media_type=image.target.media_type,
            digest=image.target.digest,
            size=image.target.size,
        )
        async with self._held():
            # The name may go before there is the other one, but not what it stands for.
            if not await self._content.known((target.digest,), {}):
                raise NotFound(f"content {target.digest}: not found")
            for name in _stored(destination, source.name, target.digest):
                await self._name(name, target, dict(destination.labels))

    async def _name(self, name: str, target: Descriptor, labels: dict[str, str]) -> None:
        image = images_pb2.Image(name=name, labels=labels)
        image.target.media_type = target.media_type
        image.target.digest = target.digest
        image.target.size = target.size
        image.updated_at.GetCurrentTime()
        try:
            known = images_pb2.Image.FromString(await self._images.get(name))
            image.created_at.CopyFrom(known.created_at)
            event: Any = events.ImageUpdate(name=name, labels=labels)
        except NotFound:
            image.created_at.CopyFrom(image.updated_at)
            event = events.ImageCreate(name=name, labels=labels)
        await self._images.put(name, image.SerializeToString())
        topic = "update" if isinstance(event, events.ImageUpdate) else "create"
        self._exchange.publish(f"/images/{topic}", event)


def _stored(destination: imagestore_pb2.ImageStore, reference: str, digest: str) -> Iterable[str]:
    """The names of what was pulled: its own, and the complete ones among the others."""
    yield destination.name or reference
    for each in destination.extra_references:
        if not each.is_prefix:
            yield f"{each.name}@{digest}" if each.add_digest else each.name


def _platform(message: platform_pb2.Platform) -> Platform:
    return Platform(os=message.os, architecture=message.architecture, variant=message.variant)


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """The first of several failures: the others follow from it, or repeat it."""
    found = errors.exceptions[0]
    return _first(found) if isinstance(found, ExceptionGroup) else found


async def _at_once(_layer: Descriptor) -> None:
    """The layers of an archive are here already."""


def _progress(event: str, descriptor: Descriptor, done: int, total: int) -> progress_pb2.Progress:
    found = progress_pb2.Progress(event=event, name=descriptor.digest, progress=done, total=total)
    found.desc.media_type = descriptor.media_type
    found.desc.digest = descriptor.digest
    found.desc.size = descriptor.size
    return found


async def _credentials(stream: Stream, host: str, reference: str) -> Credentials | None:
    stream.send(registry_pb2.AuthRequest(host=host, reference=reference))
    answer = await stream.receive()
    if not isinstance(answer, registry_pb2.AuthResponse) or answer.authType == registry_pb2.NONE:
        return None
    if answer.authType == registry_pb2.REFRESH:
        return Credentials("", answer.secret)
    if answer.authType == registry_pb2.HEADER:
        return Credentials(header=answer.secret)
    return Credentials(answer.username, answer.secret)
