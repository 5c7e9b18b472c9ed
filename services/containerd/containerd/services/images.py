"""containerd.services.images.v1.Images."""

from __future__ import annotations

from functools import partial
from typing import Any

from google.protobuf.empty_pb2 import Empty

from containerd.events.exchange import Exchange
from containerd.filters.match import Filter
from containerd.gc.collector import Collector
from containerd.services.records import Records
from wire.errors import InvalidArgument
from wire.gen.containerd.events import image_pb2 as events
from wire.gen.containerd.services.images.v1 import images_pb2 as pb


class ImagesService:
    """Names of images."""

    def __init__(self, store: Records, exchange: Exchange, collector: Collector) -> None:
        self._store = store
        self._exchange = exchange
        self._collector = collector

    async def get(self, request: pb.GetImageRequest, _context: Any) -> pb.GetImageResponse:
        """One image."""
        return pb.GetImageResponse(image=pb.Image.FromString(await self._store.get(request.name)))

    async def list(self, request: pb.ListImagesRequest, _context: Any) -> pb.ListImagesResponse:
        """Those that match."""
        wanted = Filter(request.filters)
        found = [pb.Image.FromString(data) for data in await self._store.list()]
        return pb.ListImagesResponse(
            images=[each for each in found if wanted.matches(partial(_field, each))]
        )

    async def create(self, request: pb.CreateImageRequest, _context: Any) -> pb.CreateImageResponse:
        """Add a name."""
        image = request.image
        if not image.name or not image.target.digest:
            raise InvalidArgument("image name and target digest must be set: invalid argument")
        image.created_at.GetCurrentTime()
        image.updated_at.CopyFrom(image.created_at)
        await self._store.create(image.name, image.SerializeToString())
        self._exchange.publish(
            "/images/create", events.ImageCreate(name=image.name, labels=image.labels)
        )
        return pb.CreateImageResponse(image=image)

    async def update(self, request: pb.UpdateImageRequest, _context: Any) -> pb.UpdateImageResponse:
        """Change target or labels."""
        found = pb.Image.FromString(await self._store.get(request.image.name))
        for path in list(request.update_mask.paths) or ["labels", "target"]:
            head, _, key = path.partition(".")
            if head == "labels" and key:
                found.labels[key] = request.image.labels[key]
            elif path == "labels":
                found.labels.clear()
                found.labels.update(request.image.labels)
            elif path == "target":
                found.target.CopyFrom(request.image.target)
            else:
                raise InvalidArgument(f"cannot update {path!r} field on image: invalid argument")
        found.updated_at.GetCurrentTime()
        await self._store.put(found.name, found.SerializeToString())
        self._exchange.publish(
            "/images/update", events.ImageUpdate(name=found.name, labels=found.labels)
        )
        return pb.UpdateImageResponse(image=found)

    async def delete(self, request: pb.DeleteImageRequest, _context: Any) -> Empty:
        """Remove a name; its content goes with the next collection, at once if ``sync``."""
        await self._store.delete(request.name)
        self._exchange.publish("/images/delete", events.ImageDelete(name=request.name))
        if request.sync:
            await self._collector.collect()
        else:
            self._collector.schedule()
        return Empty()


def _field(image: pb.Image, path: tuple[str, ...]) -> str | None:
    match path:
        case ("name",):
            return str(image.name)
        case ("target", "digest"):
            return str(image.target.digest)
        case ("target", "mediatype"):
            return str(image.target.media_type)
        case ("labels", *rest):
            return image.labels.get(".".join(rest))
        case _:
            return None
