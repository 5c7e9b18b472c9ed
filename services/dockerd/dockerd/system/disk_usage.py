"""`docker system df`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, Final

from dockerd.containers.list import Lister
from dockerd.containers.store import ContainerStore
from dockerd.images.list import layer_sizes, shared_sizes, summary
from dockerd.images.store import ImageStore
from dockerd.volumes.service import VolumeService
from wire.errors import InvalidArgument

_KINDS: Final = frozenset({"container", "image", "volume", "build-cache"})


class DiskUsage:
    """Measures what images, containers and volumes take."""

    def __init__(
        self,
        containers: ContainerStore,
        lister: Lister,
        images: ImageStore,
        volumes: VolumeService,
    ) -> None:
        self._containers = containers
        self._lister = lister
        self._images = images
        self._volumes = volumes

    async def measure(self, kinds: Collection[str]) -> dict[str, Any]:
        """GET /system/df, for some kinds of objects or, without any, for all; raises InvalidArgument."""
        for kind in kinds:
            if kind not in _KINDS:
                raise InvalidArgument(f"unknown object type: {kind}")
        wanted = frozenset(kinds) or _KINDS
        found: dict[str, Any] = {}
        if "image" in wanted:
            found |= await self._image_usage()
        if "container" in wanted:
            found["Containers"] = [
                await self._lister.summary(each, sized=True) for each in self._containers
            ]
        if "volume" in wanted:
            found["Volumes"] = await self._volumes.usage()
        if "build-cache" in wanted:
            found["BuildCache"] = []
        return found

    async def _image_usage(self) -> dict[str, Any]:
        images = await self._images.list()
        parents = await self._images.parents()
        used = Counter(container.image for container in self._containers)
        shared = shared_sizes(images)
        layers = {chain: size for image in images for chain, size in layer_sizes(image).items()}
        entries = [
            summary(
                image,
                containers=used[image.image_id],
                shared=shared[image.image_id],
                parent=parents.get(image.image_id, ""),
            )
            for image in images
        ]
        return {"LayersSize": sum(layers.values()), "Images": entries}
