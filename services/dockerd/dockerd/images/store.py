"""dockerd's images are containerd's: names, manifests and configs, read through its services and remembered by digest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.protobuf.empty_pb2 import Empty

from dockerd.containerd_client.client import Containerd
from dockerd.images.importing import imported
from dockerd.images.reference import parse
from wire import typeurl
from wire.errors import Conflict, EngineError, InvalidArgument, NotFound
from wire.gen.containerd.services.content.v1 import content_pb2
from wire.gen.containerd.services.images.v1 import images_pb2
from wire.gen.containerd.services.streaming.v1 import streaming_pb2
from wire.gen.containerd.services.transfer.v1 import transfer_pb2
from wire.gen.containerd.types import descriptor_pb2
from wire.gen.containerd.types.transfer import (
    imagestore_pb2,
    importexport_pb2,
    progress_pb2,
    registry_pb2,
)
from wire.gen.containerd.types.transfer import streaming_pb2 as transfer_streaming
from wire.grpc_adapter import error_of
from wire.oci.image import chain_id

_UNNAMED: Final = "import@"
_ID_LENGTH: Final = 64
_WINDOW: Final = (1 << 31) - 1


@dataclass(slots=True, kw_only=True)
class Image:
    """One image: its id is the digest of its config."""

    image_id: str
    names: list[str] = field(default_factory=list)
    target: Any
    config: dict[str, Any]
    layers: list[dict[str, Any]]

    @property
    def top(self) -> str:
        """The chain ID of the topmost layer: the parent of containers' snapshots."""
        diff_ids = self.config.get("rootfs", {}).get("diff_ids") or []
        return chain_id(diff_ids) if diff_ids else ""

    @property
    def size(self) -> int:
        """Bytes of the layers as they are stored."""
        return sum(int(layer["size"]) for layer in self.layers)

    @property
    def tags(self) -> list[str]:
        """Names with a tag, as users write them."""
        return [parse(name).familiar for name in self.names if "@" not in name]

    @property
    def repo_digests(self) -> list[str]:
        """Repositories with the digest of the manifest or index."""
        found = {
            f"{parse(name).familiar_name}@{self.target.digest}"
            for name in self.names
            if not name.startswith(_UNNAMED)
        }
        return sorted(found)


class ImageStore:
    """Finds, pulls, loads, saves, tags and removes images."""

    def __init__(self, containerd: Containerd, scratch: str) -> None:
        self._containerd = containerd
        self._scratch = scratch
        self._documents: dict[str, dict[str, Any]] = {}

    async def list(self) -> list[Image]:
        """All images, one entry for each id."""
        response = await self._containerd.call(
            "images.v1.Images",
            "List",
            images_pb2.ListImagesRequest(),
            images_pb2.ListImagesResponse,
        )
        found: dict[str, Image] = {}
        for each in response.images:
            try:
                image = await self._image(each)
            except (NotFound, InvalidArgument):
                # Not for this machine, or half removed.
                continue
            known = found.setdefault(image.image_id, image)
            known.names.append(each.name)
        return list(found.values())

    async def find(self, reference: str) -> Image:
        """An image by name, id or unambiguous prefix; raises NotFound in Docker's words."""
        wanted = reference.removeprefix("sha256:")
        by_id = all(letter in "0123456789abcdef" for letter in wanted) and len(wanted) <= _ID_LENGTH
        missing = NotFound(f"No such image: {reference}")
        if not (by_id and len(wanted) == _ID_LENGTH) and not reference.startswith("sha256:"):
            named = parse(reference)
            full = named.full
            missing = NotFound(f"No such image: {named.familiar}")
            if full:
                try:
                    response = await self._containerd.call(
                        "images.v1.Images",
                        "Get",
                        images_pb2.GetImageRequest(name=full),
                        images_pb2.GetImageResponse,
                    )
                    image = await self._image(response.image)
                    image.names = [
                        name
                        for each in await self.list()
                        if each.image_id == image.image_id
                        for name in each.names
                    ] or [full]
                    return image
                except NotFound:
                    pass
        images = await self.list()
        if "@" in reference:
            repository, _, digest = reference.partition("@")
            for image in images:
                if image.target.digest == digest and any(
                    parse(name).familiar_name == parse(repository).familiar_name
                    for name in image.names
                    if not name.startswith(_UNNAMED)
                ):
                    return image
        if not by_id:
            raise missing
        matches = [image for image in images if image.image_id[7:].startswith(wanted)]
        if len(matches) != 1:
            raise missing
        return matches[0]

    async def fast(self, reference: str) -> Image:
        """An image by name without its other names: what creating a container needs."""
        try:
            full = parse(reference).full
            response = await self._containerd.call(
                "images.v1.Images",
                "Get",
                images_pb2.GetImageRequest(name=full),
                images_pb2.GetImageResponse,
            )
            image = await self._image(response.image)
        except (NotFound, InvalidArgument):
            return await self.find(reference)
        image.names = [full]
        return image

    async def tag(self, reference: str, new: str) -> None:
        """Give an image another name."""
        image = await self.find(reference)
        name = parse(new)
        if name.digest:
            raise InvalidArgument("refusing to create a tag with a digest reference")
        record = images_pb2.Image(name=name.full, target=image.target)
        try:
            await self._containerd.call(
                "images.v1.Images",
                "Create",
                images_pb2.CreateImageRequest(image=record),
                images_pb2.CreateImageResponse,
            )
        except EngineError:
            await self._containerd.call(
                "images.v1.Images",
                "Update",
                images_pb2.UpdateImageRequest(image=record),
                images_pb2.UpdateImageResponse,
            )

    async def remove(
        self, reference: str, users: dict[str, str], *, force: bool
    ) -> Sequence[dict[str, str]]:
        """Untag or delete, by Docker's rules; ``users`` maps containers' ids to the image ids they use."""
        image = await self.find(reference)
        short = image.image_id[7:19]
        by_id = image.image_id[7:].startswith(reference.removeprefix("sha256:"))
        using = [container for container, used in users.items() if used == image.image_id]
        names = [name for name in image.names if not name.startswith(_UNNAMED)]
        answer: list[dict[str, str]] = []
        if by_id and len(names) > 1 and not force:
            raise Conflict(
                f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
            )
        doomed = image.names if by_id or len(names) <= 1 else [parse(reference).full]
        if using and len(doomed) == len(image.names) and not force:
            if by_id:
                raise Conflict(
                    f"conflict: unable to delete {short} (must be forced) - image is being used by stopped"
                    f" container {using[0][:12]}"
                )
            raise Conflict(
                f'conflict: unable to remove repository reference "{reference}" (must force) - container {using[0][:12]}'
                f" is using its referenced image {short}"
            )
        last = len(doomed) == len(image.names)
        if using and last:
            # The name goes, the image stays for its containers.
            record = images_pb2.Image(name=f"{_UNNAMED}{image.image_id}", target=image.target)
            await self._containerd.call(
                "images.v1.Images",
                "Create",
                images_pb2.CreateImageRequest(image=record),
                images_pb2.CreateImageResponse,
            )
        for name in doomed:
            await self._containerd.call(
                "images.v1.Images",
                "Delete",
                images_pb2.DeleteImageRequest(name=name, sync=last),
                Empty,
            )
            if not name.startswith(_UNNAMED):
                answer.append({"Untagged": parse(name).familiar})
        if last and not using:
            answer.append({"Deleted": image.image_id})
        return answer

    # -- transfers

    async def pull(
        self, reference: str, auth: dict[str, str] | None
    ) -> AsyncIterator[progress_pb2.Progress]:
        """Pull; yields containerd's progress."""
        full = parse(reference).full
        resolver = registry_pb2.RegistryResolver()
        auth_stream: _Stream | None = None
        if auth:
            auth_stream = await _Stream.open(self._containerd)
            resolver.auth_stream = auth_stream.name
        source = registry_pb2.OCIRegistry(reference=full, resolver=resolver)
        store = imagestore_pb2.ImageStore(name=full)
        loop = asyncio.get_running_loop()
        answering = None
        if auth_stream is not None:
            answering = loop.create_task(auth_stream.answer(auth or {}))
        try:
            async for notice in self._transfer(source, store):
                yield notice
        finally:
            if answering is not None and auth_stream is not None:
                answering.cancel()
                await asyncio.gather(answering, return_exceptions=True)
                auth_stream.close()

    async def load(
        self, chunks: AsyncIterator[bytes], name: str = ""
    ) -> AsyncIterator[progress_pb2.Progress]:
        """Import an archive; yields a notice for each image."""
        stream = await _Stream.open(self._containerd)
        loop = asyncio.get_running_loop()
        feeding = loop.create_task(stream.feed(chunks))
        try:
            source = importexport_pb2.ImageImportStream(stream=stream.name)
            async for notice in self._transfer(source, imagestore_pb2.ImageStore(name=name)):
                yield notice
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
            stream.close()

    async def import_tree(
        self, chunks: AsyncIterator[bytes], name: str, changes: Sequence[str], comment: str
    ) -> str:
        """An image of one layer from a root file system's archive; its id. Raises InvalidArgument for bad changes."""
        async with imported(chunks, self._scratch, name, changes, comment) as (image_id, archive):
            async for _ in self.load(archive):
                pass
        return image_id

    async def save(self, references: Sequence[str]) -> AsyncIterator[bytes]:
        """Export images as one archive."""
        names = []
        for each in references:
            image = await self.find(each)
            try:
                full = parse(each).full
            except InvalidArgument:
                full = ""
            names.append(full if full in image.names else image.names[0])
        stream = await _Stream.open(self._containerd)
        store = imagestore_pb2.ImageStore(
            name=names[0],
            extra_references=[imagestore_pb2.ImageReference(name=name) for name in names[1:]],
        )
        request = transfer_pb2.TransferRequest(
            source=typeurl.pack(store),
            destination=typeurl.pack(importexport_pb2.ImageExportStream(stream=stream.name)),
        )
        loop = asyncio.get_running_loop()
        running = loop.create_task(
            self._containerd.call("transfer.v1.Transfer", "Transfer", request, Empty)
        )
        try:
            async for chunk in stream.chunks():
                yield chunk
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            stream.close()

    async def _transfer(
        self, source: Any, destination: Any
    ) -> AsyncIterator[progress_pb2.Progress]:
        progress = await _Stream.open(self._containerd)
        request = transfer_pb2.TransferRequest(
            source=typeurl.pack(source),
            destination=typeurl.pack(destination),
            options=transfer_pb2.TransferOptions(progress_stream=progress.name),
        )
        loop = asyncio.get_running_loop()
        running = loop.create_task(
            self._containerd.call("transfer.v1.Transfer", "Transfer", request, Empty)
        )
        try:
            while (message := await progress.receive()) is not None:
                if isinstance(message, progress_pb2.Progress):
                    yield message
            await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            progress.close()

    # -- documents

    async def _image(self, record: images_pb2.Image) -> Image:
        manifest = await self._manifest(record.target)
        digest = manifest["config"]["digest"]
        config = await self._document(digest)
        return Image(
            image_id=digest, target=record.target, config=config, layers=manifest["layers"]
        )

    async def _manifest(self, target: descriptor_pb2.Descriptor) -> dict[str, Any]:
        document = await self._document(target.digest)
        for _ in range(8):
            if "manifests" not in document:
                break
            for entry in document["manifests"]:
                platform = entry.get("platform") or {}
                if (
                    platform.get("os", "linux") == "linux"
                    and platform.get("architecture", "amd64") == "amd64"
                ):
                    document = await self._document(entry["digest"])
                    break
            else:
                raise NotFound("no manifest for linux/amd64")
        if "config" not in document:
            raise InvalidArgument("not an image")
        return document

    async def _document(self, digest: str) -> dict[str, Any]:
        known = self._documents.get(digest)
        if known is not None:
            return known
        data = bytearray()
        async for part in self._containerd.stream(
            "content.v1.Content",
            "Read",
            content_pb2.ReadContentRequest(digest=digest),
            content_pb2.ReadContentResponse,
        ):
            data += part.data
        document: dict[str, Any] = json.loads(data)
        if len(self._documents) > 1024:
            self._documents.clear()
        self._documents[digest] = document
        return document


class _Stream:
    """One stream of the Streaming service."""

    _count = 0

    def __init__(self, name: str, call: Any) -> None:
        self.name = name
        self._call = call

    @classmethod
    async def open(cls, containerd: Containerd) -> _Stream:
        cls._count += 1
        name = f"dockerd-{id(containerd):x}-{cls._count}"
        call = containerd.open_stream()
        await call.write(typeurl.pack(streaming_pb2.StreamInit(id=name)))
        await call.read()
        return cls(name, call)

    async def receive(self) -> Any:
        try:
            packed = await self._call.read()
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure) from failure
        return None if packed is grpc.aio.EOF else typeurl.unpack(packed)

    async def feed(self, chunks: AsyncIterator[bytes]) -> None:
        room = 0
        async for chunk in chunks:
            view = bytes(chunk)
            while view:
                while room <= 0:
                    message = await self.receive()
                    if message is None:
                        return
                    if isinstance(message, transfer_streaming.WindowUpdate):
                        room += message.update
                part, view = view[: min(room, 1 << 20)], view[min(room, 1 << 20) :]
                await self._call.write(typeurl.pack(transfer_streaming.Data(data=part)))
                room -= len(part)
        await self._call.done_writing()

    async def chunks(self) -> AsyncIterator[bytes]:
        # HTTP/2 holds the sender back already. Updates are rare, because grpc.aio (1.85) drops what is still unread when a
        # write meets a stream that the other side has just ended.
        await self._call.write(typeurl.pack(transfer_streaming.WindowUpdate(update=_WINDOW)))
        taken = 0
        while (message := await self.receive()) is not None:
            if isinstance(message, transfer_streaming.Data):
                yield message.data
                taken += len(message.data)
                if taken >= _WINDOW // 2:
                    update = transfer_streaming.WindowUpdate(update=taken)
                    await self._call.write(typeurl.pack(update))
                    taken = 0

    async def answer(self, auth: dict[str, str]) -> None:
        while (message := await self.receive()) is not None:
            if isinstance(message, registry_pb2.AuthRequest):
                token = auth.get("identitytoken")
                answer = registry_pb2.AuthResponse(
                    authType=registry_pb2.REFRESH if token else registry_pb2.CREDENTIALS,
                    username=auth.get("username", ""),
                    secret=token or auth.get("password", ""),
                )
                await self._call.write(typeurl.pack(answer))

    def close(self) -> None:
        self._call.cancel()
