"""All containers: by id, by name, by unambiguous prefix."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator

from dockerd.containers.errors import AmbiguousContainer, ContainerNotFound, NameInUse
from dockerd.containers.model import Container

logger = logging.getLogger(__name__)


class ContainerStore:
    """The containers of this daemon."""

    def __init__(self, data_root: str) -> None:
        self._root = os.path.join(data_root, "containers")
        self._by_id: dict[str, Container] = {}
        self._by_name: dict[str, str] = {}
        self._unfinished: list[str] = []
        self._retired: list[Container] = []
        os.makedirs(self._root, mode=0o710, exist_ok=True)

    def load(self) -> None:
        """Read every record; what else there is a crash has left: ``retired`` and ``unfinished`` tell of it."""
        for name in os.listdir(self._root):
            try:
                self._load(name)
            except (OSError, ValueError, TypeError, KeyError) as error:
                logger.warning(
                    "container record unreadable",
                    extra={"path": self.directory(name), "error": str(error)},
                )

    def _load(self, name: str) -> None:
        directory = self.directory(name)
        with contextlib.suppress(FileNotFoundError):
            self.add(Container.load(directory))
            return
        try:
            self._retired.append(Container.load(directory, retired=True))
        except FileNotFoundError:
            self._unfinished.append(name)

    def retired(self) -> tuple[Container, ...]:
        """Containers that were removed by an earlier daemon, of which something is left."""
        return tuple(self._retired)

    def unfinished(self) -> tuple[str, ...]:
        """The ids of containers of which only a directory, and perhaps a snapshot, is left."""
        return tuple(self._unfinished)

    def sweep(self, container_id: str) -> None:
        """Remove the directory of an unfinished container."""
        shutil.rmtree(self.directory(container_id), ignore_errors=True)
        self._unfinished.remove(container_id)

    def directory(self, container_id: str) -> str:
        """Where a container's files are."""
        return f"{self._root}/{container_id}"

    def reserve(self, name: str, container_id: str) -> None:
        """Take a name; raises NameInUse."""
        owner = self._by_name.get(name)
        if owner is not None:
            raise NameInUse(name, owner)
        self._by_name[name] = container_id

    def has_name(self, name: str) -> bool:
        """Whether a name is taken, by a container or by one that is just being made."""
        return name in self._by_name

    def release(self, name: str) -> None:
        """Give a name back."""
        self._by_name.pop(name, None)

    def add(self, container: Container) -> None:
        """Make it findable."""
        self._by_id[container.container_id] = container
        self._by_name[container.name] = container.container_id

    def discard(self, container: Container) -> None:
        """Forget it."""
        self._by_id.pop(container.container_id, None)
        if self._by_name.get(container.name) == container.container_id:
            del self._by_name[container.name]

    def get(self, reference: str) -> Container:
        """By id, name or prefix; raises ContainerNotFound, AmbiguousContainer."""
        reference = reference.removeprefix("/")
        found = self._by_id.get(reference) or self._by_id.get(self._by_name.get(reference, ""))
        if found is not None:
            return found
        matches = [each for each in self._by_id if reference and each.startswith(reference)]
        if len(matches) > 1:
            raise AmbiguousContainer(reference)
        if not matches:
            raise ContainerNotFound(reference)
        return self._by_id[matches[0]]

    def find(self, container_id: str) -> Container | None:
        """By full id."""
        return self._by_id.get(container_id)

    def users_of_volume(self, name: str) -> set[str]:
        """The ids of the containers that refer to a volume."""
        return {
            container.container_id
            for container in self
            if any(
                point["Type"] == "volume" and point["Name"] == name for point in container.mounts
            )
        }

    def users_of_image(self, image_id: str) -> dict[str, bool]:
        """The containers of an image, by id: whether they run."""
        return {
            container.container_id: container.running
            for container in self
            if container.image == image_id
        }

    def by_image(self) -> dict[str, list[str]]:
        """The ids of the containers of each image, by the image's id."""
        found: dict[str, list[str]] = {}
        for container in self:
            found.setdefault(container.image, []).append(container.container_id)
        return found

    def running_ids(self) -> set[str]:
        """The ids of the containers that run."""
        return {container.container_id for container in self if container.running}

    def __iter__(self) -> Iterator[Container]:
        return iter(tuple(self._by_id.values()))
