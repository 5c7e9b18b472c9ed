"""Mounts of type ``image``: what images have, read-only, as snapshots of the container's own.

A folder ``mounts/image-N`` of the container is made before the snapshot, so that whatever a crash leaves can be found by it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from dockerd.containerd_client.tasks import Tasks
from dockerd.containers.model import Container
from dockerd.containers.rootfs import detach, mount_layers
from dockerd.images.store import ImageStore
from wire.errors import InvalidArgument, NotFound

_PREFIX = "image-"


class ImageMounts:
    """Makes and removes the snapshots."""

    def __init__(self, tasks: Tasks, images: ImageStore) -> None:
        self._tasks = tasks
        self._images = images

    async def make(self, container: Container) -> None:
        """For a new container; raises InvalidArgument for an image that is not there."""
        for index, point in enumerate(container.mounts):
            if point["Type"] != "image":
                continue
            if "Top" not in point:
                try:
                    point["Top"] = (await self._images.fast(point["Name"])).top
                except NotFound as error:
                    # The CLI would take it for the container's own image, and pull that.
                    raise InvalidArgument(error.message) from None
            point["Source"] = f"{container.directory}/mounts/{_PREFIX}{index}"
            os.makedirs(point["Source"], mode=0o700)
            key = f"{container.container_id}-{_PREFIX}{index}"
            point["Layers"] = await self._tasks.view(key, point["Top"])

    async def remove(self, container_id: str, directory: str) -> None:
        """Whatever there is of them; harmless when repeated."""
        for name in _made(directory):
            await self._tasks.remove_snapshot(f"{container_id}-{name}")


def _made(directory: str) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError):
        yield from (each for each in os.listdir(f"{directory}/mounts") if each.startswith(_PREFIX))


def mount(container: Container) -> None:
    """Before a start; raises OSError."""
    for point in container.mounts:
        if point["Type"] == "image":
            os.makedirs(point["Source"], mode=0o700, exist_ok=True)
            detach(point["Source"])
            mount_layers(point["Layers"], point["Source"])


def unmount(container: Container) -> None:
    """Harmless when repeated. A running container keeps what it has."""
    for point in container.mounts:
        if point["Type"] == "image":
            detach(point["Source"])
