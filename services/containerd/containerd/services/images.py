"""containerd.services.images.v1.Images."""

from __future__ import annotations

from functools import partial
from typing import Any

from google.protobuf.empty_pb2 import Empty

from containerd.events.exchange import Exchange
from containerd.filters.match import Filter
from containerd.gc.collector import Collector
from containerd.metadata.leases import EXPIRE_LABEL
from containerd.services.masks import change_map
from containerd.services.records import Records
from wire import digest as digests
from wire.errors import InvalidArgument, NotFound
from wire.gen.containerd.events import image_pb2 as events
from wire.gen.containerd.services.images.v1 import images_pb2 as pb
from wire.identifiers import validate_labels


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
        _validate(image)
        if request.HasField("source_date_epoch"):
            image.created_at.CopyFrom(request.source_date_epoch)
        else:
            image.created_at.GetCurrentTime()
        image.updated_at.CopyFrom(image.created_at)
        await self._store.create(image.name, image.SerializeToString(), hold=_expires(image))
        self._exchange.publish(
            "/images/create", events.ImageCreate(name=image.name, labels=image.labels)
        )
        self._expire(image)
        return pb.CreateImageResponse(image=image)

    async def update(self, request: pb.UpdateImageRequest, _context: Any) -> pb.UpdateImageResponse:
        """Change target, labels or annotations, by mask or all of them."""
        if not request.image.name:
            raise InvalidArgument("image name is required for update: invalid argument")

        def change(data: bytes) -> bytes:
            found = pb.Image.FromString(data)
            for path in list(request.update_mask.paths) or ["labels", "target"]:
                _update(found, request.image, path)
            _validate(found)
            if request.HasField("source_date_epoch"):
                found.updated_at.CopyFrom(request.source_date_epoch)
            else:
                found.updated_at.GetCurrentTime()
            return found.SerializeToString()

        found = pb.Image.FromString(
            await self._store.modify(request.image.name, change, hold=_expires(request.image))
        )
        self._exchange.publish(
            "/images/update", events.ImageUpdate(name=found.name, labels=found.labels)
        )
        # What the name stood for before may be nobody's now.
        self._collector.schedule()
        return pb.UpdateImageResponse(image=found)

    async def delete(self, request: pb.DeleteImageRequest, _context: Any) -> Empty:
        """Remove a name; its content goes with the next collection, at once if ``sync``."""

        def check(data: bytes) -> None:
            target = pb.Image.FromString(data).target
            if request.target.digest and request.target.digest != target.digest:
                raise NotFound(
                    f'image "{request.name}" has target {target.digest}, not {request.target.digest}: not found'
                )

        await self._store.delete(request.name, check)
        self._exchange.publish("/images/delete", events.ImageDelete(name=request.name))
        if request.sync:
            await self._collector.collect_for_caller()
        else:
            self._collector.schedule()
        return Empty()

    def _expire(self, image: pb.Image) -> None:
        """The collector has to learn of a new time."""
        if _expires(image):
            self._collector.schedule()


def _expires(image: pb.Image) -> bool:
    """Whether the image is no root for ever, so that a lease has to hold it."""
    return EXPIRE_LABEL in image.labels


def _validate(image: pb.Image) -> None:
    if not image.name:
        raise InvalidArgument("image name must not be empty: invalid argument")
    validate_labels(image.labels)
    if not digests.is_valid(image.target.digest):
        raise InvalidArgument(f'Target.Digest "{image.target.digest}" invalid: invalid argument')
    if image.target.size <= 0:
        raise InvalidArgument("Target.Size must be greater than zero: invalid argument")
    if not image.target.media_type:
        raise InvalidArgument("Target.MediaType must be set: invalid argument")


def _update(found: pb.Image, given: pb.Image, path: str) -> None:
    head, _, key = path.partition(".")
    match head:
        case "labels":
            change_map(found.labels, given.labels, key)
        case "annotations":
            change_map(found.target.annotations, given.target.annotations, key)
        case "target" if not key:
            found.target.CopyFrom(given.target)
        case _:
            raise InvalidArgument(
                f'cannot update "{path}" field on image "{found.name}": invalid argument'
            )


def _field(image: pb.Image, path: tuple[str, ...]) -> str | None:
    match path:
        case ("name", *_):
            return str(image.name) or None
        case ("target", "digest", *_):
            return str(image.target.digest) or None
        case ("target", "mediatype", *_):
            return str(image.target.media_type) or None
        case ("labels", *rest):
            return image.labels.get(".".join(rest))
        case ("annotations", *rest):
            return image.target.annotations.get(".".join(rest))
        case _:
            return None
