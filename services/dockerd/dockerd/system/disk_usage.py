"""`docker system df`."""

from __future__ import annotations

from typing import Any

from dockerd.containers.list import Lister
from dockerd.containers.store import ContainerStore
from dockerd.images.list import summary
from dockerd.images.store import ImageStore
from dockerd.volumes.service import VolumeService


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

    async def measure(self) -> dict[str, Any]:
        """GET /system/df."""
        images = await self._images.list()
        used = [container.image for container in self._containers]
        return {
            "LayersSize": sum(image.size for image in images),
            "Images": [summary(image, used.count(image.image_id)) for image in images],
            "Containers": [await self._lister.summary(each) for each in self._containers],
            "Volumes": self._volumes.usage(),
            "BuildCache": [],
        }
