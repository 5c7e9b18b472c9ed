"""dockerd's images are containerd's: found by name, id or prefix, and named there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty

from dockerd.containerd_client.client import Containerd
from dockerd.images import platforms
from dockerd.images.documents import Documents
from dockerd.images.errors import ImageNotFound, OtherPlatform
from dockerd.images.layers import LayerStore, chains
from dockerd.images.model import UNNAMED, Image
from dockerd.images.platforms import Platform
from dockerd.images.reference import parse
from wire.errors import AlreadyExists, InvalidArgument, NotFound
from wire.gen.containerd.services.content.v1 import content_pb2
from wire.gen.containerd.services.images.v1 import images_pb2
from wire.gen.containerd.types import descriptor_pb2

_SERVICE: Final = "images.v1.Images"
_ID_LENGTH: Final = 64
PARENT: Final = "org.mobyproject.image.parent"
"""A label of an image's config: the image that it was made of."""
PLATFORM: Final = "dockyard.platform"
"""A label of an image's name: the platform that it was pulled for, where a client chose one."""


class ImageStore:
    """Finds images, and gives and takes names."""

    def __init__(self, containerd: Containerd, documents: Documents, layers: LayerStore) -> None:
        self._containerd = containerd
        self._layers = layers
        self._documents = documents

    # -- finding

    async def list(self) -> list[Image]:
        """All images, one entry for each id."""
        response = await self._containerd.call(
            _SERVICE, "List", images_pb2.ListImagesRequest(), images_pb2.ListImagesResponse
        )
        found: dict[str, Image] = {}
        for each in response.images:
            try:
                if not each.name.startswith(UNNAMED):
                    parse(each.name)
                image = await self._image(each)
            except (NotFound, InvalidArgument):
                # Not for this machine, half removed, or made by other clients of containerd and no image of Docker's.
                continue
            known = found.setdefault(image.image_id, image)
            known.tagged_at = max(known.tagged_at, image.tagged_at)
            known.names.append(each.name)
        await self._measure(list(found.values()))
        return list(found.values())

    async def _measure(self, images: Sequence[Image]) -> None:
        known = {image.image_id: chains(image.chain) for image in images}
        await self._layers.measure(chain for each in known.values() for chain in each)
        for image in images:
            pairs = zip(known[image.image_id], image.stored, strict=False)
            image.sizes = [
                stored if (size := self._layers.size(chain)) is None else size
                for chain, stored in pairs
            ]

    async def parents(self) -> dict[str, str]:
        """By image ids, the images that `docker commit` made them of."""
        found: dict[str, str] = {}
        request = content_pb2.ListContentRequest(filters=[f'labels."{PARENT}"'])
        async for part in self._containerd.stream(
            "content.v1.Content", "List", request, content_pb2.ListContentResponse
        ):
            found |= {info.digest: info.labels[PARENT] for info in part.info}
        return found

    async def find(self, reference: str, platform: Platform | None = None) -> Image:
        """An image with all its names, by name, id or unambiguous prefix; raises ImageNotFound, InvalidArgument.

        ``platform`` chooses among the images of an index; raises OtherPlatform if it is for none of that.
        """
        found = await self._find(reference)
        if platform is None or platform.fits(found.config):
            return found
        entry, manifest = await self._documents.described(found.target, platform)
        digest = manifest["config"]["digest"]
        try:
            config = await self._documents.config(digest)
        except NotFound:
            config = {}
        if not config or not platform.fits(config):
            raise OtherPlatform(reference, str(platforms.of(found.config)), str(platform))
        other = Image(
            image_id=digest,
            target=found.target,
            manifest=_described(entry, config),
            config=config,
            layers=manifest["layers"],
        )
        other.names, other.tagged_at = found.names, found.tagged_at
        await self._measure([other])
        return other

    async def _find(self, reference: str) -> Image:
        wanted = reference.removeprefix("sha256:")
        by_id = all(letter in "0123456789abcdef" for letter in wanted) and len(wanted) <= _ID_LENGTH
        images = await self.list()
        missing = reference
        if not (by_id and len(wanted) == _ID_LENGTH) and not reference.startswith("sha256:"):
            named = parse(reference)
            missing = named.familiar
            for image in images:
                if named.full in image.names:
                    return image
            if named.digest and (found := _by_digest(images, reference)) is not None:
                return found
        matches = [image for image in images if by_id and image.image_id[7:].startswith(wanted)]
        if len(matches) != 1:
            raise ImageNotFound(missing)
        return matches[0]

    async def fast(self, reference: str, platform: Platform | None = None) -> Image:
        """An image by name without its other names: what creating a container needs. Raises as ``find``."""
        if platform is not None:
            return await self.find(reference, platform)
        try:
            full = parse(reference).full
            response = await self._containerd.call(
                _SERVICE,
                "Get",
                images_pb2.GetImageRequest(name=full),
                images_pb2.GetImageResponse,
            )
            image = await self._image(response.image)
        except (NotFound, InvalidArgument):
            return await self.find(reference)
        image.names = [full]
        return image

    async def id_of(self, target: descriptor_pb2.Descriptor) -> str:
        """The id of an image, which its name need not have."""
        return str((await self._documents.manifest(target))["config"]["digest"])

    # -- naming

    async def name(self, name: str, target: descriptor_pb2.Descriptor) -> None:
        """Lead a name to an image, whatever it led to before."""
        record = images_pb2.Image(name=name, target=target)
        try:
            await self._containerd.call(
                _SERVICE,
                "Create",
                images_pb2.CreateImageRequest(image=record),
                images_pb2.CreateImageResponse,
            )
        except AlreadyExists:
            await self._containerd.call(
                _SERVICE,
                "Update",
                images_pb2.UpdateImageRequest(image=record),
                images_pb2.UpdateImageResponse,
            )

    async def keep_unnamed(self, image: Image) -> None:
        """Keep an image that is about to lose its last name."""
        await self.name(f"{UNNAMED}{image.image_id}", image.target)

    async def unname(self, name: str, *, collect: bool) -> None:
        """Take a name away; with ``collect`` the content goes before this returns."""
        await self._containerd.call(
            _SERVICE, "Delete", images_pb2.DeleteImageRequest(name=name, sync=collect), Empty
        )
        self._documents.forget()

    async def _image(self, record: images_pb2.Image) -> Image:
        chosen = record.labels.get(PLATFORM)
        platform = platforms.parse(chosen) if chosen else platforms.HOST
        entry, manifest = await self._documents.described(record.target, platform)
        digest = manifest["config"]["digest"]
        config = await self._documents.config(digest)
        return Image(
            image_id=digest,
            target=record.target,
            manifest=_described(entry, config),
            config=config,
            layers=manifest["layers"],
            tagged_at=record.updated_at.ToJsonString() if record.HasField("updated_at") else "",
        )


def _described(entry: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """A manifest's descriptor with the platform, which the config knows where an index does not tell."""
    keys = ("architecture", "os", "os.version", "os.features", "variant")
    platform = {key: config[key] for key in keys if config.get(key)}
    return {**entry, "platform": entry.get("platform") or platform}


def _by_digest(images: list[Image], reference: str) -> Image | None:
    repository, _, digest = reference.partition("@")
    wanted = parse(repository).familiar_name
    for image in images:
        if image.target.digest == digest and any(
            parse(name).familiar_name == wanted for name in image.named
        ):
            return image
    return None
