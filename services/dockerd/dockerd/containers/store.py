"""All containers: by id, by name, by unambiguous prefix."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator

from dockerd.containers.model import Container
from wire.errors import Conflict, InvalidArgument, NotFound

logger = logging.getLogger(__name__)


class ContainerStore:
    """The containers of this daemon."""

    def __init__(self, data_root: str) -> None:
        self._root = os.path.join(data_root, "containers")
        self._by_id: dict[str, Container] = {}
        self._by_name: dict[str, str] = {}
        os.makedirs(self._root, mode=0o710, exist_ok=True)

    def load(self) -> None:
        """Read every record; a directory without one is what a crash left, and goes."""
        for name in os.listdir(self._root):
            directory = f"{self._root}/{name}"
            try:
                container = Container.load(directory)
            except FileNotFoundError:
                shutil.rmtree(directory, ignore_errors=True)
            except (OSError, ValueError, TypeError, KeyError) as error:
                logger.warning(
                    "container record unreadable", extra={"path": directory, "error": str(error)}
                )
            else:
                self.add(container)

    def directory(self, container_id: str) -> str:
        """Where a container's files are."""
        return f"{self._root}/{container_id}"

    def reserve(self, name: str, container_id: str) -> None:
        """Take a name; raises Conflict in Docker's words."""
        owner = self._by_name.get(name)
        if owner is not None:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{owner}". You have to remove'
                " (or rename) that container to be able to reuse that name."
            )
        self._by_name[name] = container_id

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
        """By id, name or prefix; raises NotFound, InvalidArgument in Docker's words."""
        reference = reference.removeprefix("/")
        found = self._by_id.get(reference) or self._by_id.get(self._by_name.get(reference, ""))
        if found is not None:
            return found
        matches = [each for each in self._by_id if reference and each.startswith(reference)]
        if len(matches) > 1:
            raise InvalidArgument(f"Multiple IDs found with provided prefix: {reference}")
        if not matches:
            raise NotFound(f"No such container: {reference}")
        return self._by_id[matches[0]]

    def find(self, container_id: str) -> Container | None:
        """By full id."""
        return self._by_id.get(container_id)

    def __iter__(self) -> Iterator[Container]:
        return iter(tuple(self._by_id.values()))
