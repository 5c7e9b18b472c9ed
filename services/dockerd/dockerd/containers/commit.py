"""`docker commit`, the container's side: frozen while its files are read, its configuration under the changes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from dockerd.containerd_client.tasks import Tasks
from dockerd.containers import fields
from dockerd.containers.announce import Announcer
from dockerd.containers.image_config import merged_config
from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from dockerd.images.changes import apply
from dockerd.images.commit import Committer
from dockerd.images.reference import Reference
from dockerd.images.store import ImageStore
from wire.errors import Conflict, EngineError, InvalidArgument

# What an image's configuration may have; the rest belongs to one container.
_KEPT: Final = (
    "User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Healthcheck", "Volumes", "WorkingDir", "Labels", "StopSignal",
    "OnBuild", "Shell", "ArgsEscaped",
)  # fmt: skip


class ContainerCommitter:
    """Makes images of containers."""

    def __init__(
        self,
        store: ContainerStore,
        tasks: Tasks,
        images: ImageStore,
        committer: Committer,
        announcer: Announcer,
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._images = images
        self._committer = committer
        self._announcer = announcer

    async def commit(
        self,
        reference: str,
        config: dict[str, Any],
        *,
        name: Reference | None,
        changes: Sequence[str],
        author: str,
        comment: str,
        pause: bool,
    ) -> str:
        """The id of the new image; ``config`` goes over the container's, ``changes`` over that.

        Raises NotFound, Conflict, InvalidArgument.
        """
        fields.check(config, {})
        if name is not None and name.digest:
            raise InvalidArgument("cannot commit to digest reference")
        container = self._store.get(reference)
        if container.removing:
            raise Conflict(
                f"You cannot commit container {container.container_id} which is being removed"
            )
        parent = await self._images.find(container.image)
        wanted = merged_config(apply(config or container.config, changes), container.config)
        async with self._frozen(container, pause=pause):
            image_id = await self._committer.commit(
                container.container_id,
                parent,
                {key: wanted[key] for key in _KEPT if wanted.get(key)},
                name=name,
                author=author,
                comment=comment,
                command=" ".join([container.path, *container.args]),
                source={
                    "container": container.container_id,
                    "container_config": {**container.config, "Image": container.image_name},
                    "comment": comment,
                },
            )
        attributes = {
            "comment": comment,
            "imageID": image_id,
            "imageRef": name.familiar if name is not None else "",
        }
        self._announcer.say(container, "commit", attributes)
        return image_id

    @contextlib.asynccontextmanager
    async def _frozen(self, container: Container, *, pause: bool) -> AsyncIterator[None]:
        """With its lock: it neither starts nor ends meanwhile, as far as we know."""
        async with container.lock:
            frozen = pause and container.running and not container.state.paused
            if frozen:
                try:
                    await self._tasks.pause(container.container_id, paused=True)
                except EngineError:
                    # It may have ended just now; if not, its files are read while it writes, as in Docker.
                    frozen = False
            try:
                yield
            finally:
                if frozen:
                    with contextlib.suppress(EngineError):
                        await self._tasks.pause(container.container_id, paused=False)
