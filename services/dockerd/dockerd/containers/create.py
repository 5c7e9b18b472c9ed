"""`docker create`: check, reserve the name, make the snapshot, record."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from typing import Any

from dockerd.config import LiveConfig
from dockerd.containerd_client.tasks import Tasks
from dockerd.containers import (
    defaults,
    endpoint_request,
    fields,
    hostconfig,
    joined,
    links,
    mountpoints,
    names,
)
from dockerd.containers.announce import Announcer
from dockerd.containers.errors import NoCommand
from dockerd.containers.image_config import merged_config
from dockerd.containers.image_mounts import ImageMounts
from dockerd.containers.model import Container, now
from dockerd.containers.store import ContainerStore
from dockerd.images import platforms
from dockerd.images.model import Image
from dockerd.images.platforms import HOST, Platform
from dockerd.images.store import ImageStore
from dockerd.volumes.catalog import Catalog
from wire.errors import EngineError, InvalidArgument

_SHORT_ID = 12


class Creator:
    """Makes containers."""

    def __init__(
        self,
        *,
        store: ContainerStore,
        tasks: Tasks,
        images: ImageStore,
        volumes: Catalog,
        image_mounts: ImageMounts,
        announcer: Announcer,
        config: LiveConfig,
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._images = images
        self._volumes = volumes
        self._image_mounts = image_mounts
        self._announcer = announcer
        self._config = config

    async def create(
        self,
        name: str,
        config: dict[str, Any],
        host: dict[str, Any],
        networking: dict[str, Any],
        platform: Platform | None = None,
        *,
        recursive_read_only: bool = True,
    ) -> tuple[str, list[str]]:
        """A new container; its id and warnings. Raises InvalidArgument, NotFound, Conflict.

        ``platform`` is that of the image, if the client wants a certain one; ``recursive_read_only`` says whether read-only
        bind mounts are that all the way down where the request says nothing.
        """
        if name:
            name = names.checked(name)
        fields.check(config, host)
        settings = self._config.current
        defaults.apply_log(host, settings)
        warnings = hostconfig.validate(config, host, settings.runtimes)
        joined.resolve(host, self._store)
        hostconfig.complete(host)
        defaults.apply(host, settings)
        name = name or names.random_name(self._store)
        links.resolve(host, name, self._store)
        reference = config.get("Image") or ""
        if not reference:
            raise _without_image(config)
        image = await self._images.fast(reference, platform)
        if platform is None and not HOST.fits(image.config):
            warnings.append(_other_platform(image))
        merged = merged_config(config, image.config.get("config") or {})
        command = [*(merged.get("Entrypoint") or []), *(merged.get("Cmd") or [])]
        if not command:
            raise NoCommand
        container_id = secrets.token_hex(32)
        container = Container(
            container_id=container_id,
            name=name,
            created=now(),
            image=image.image_id,
            image_name=reference,
            image_manifest=image.manifest,
            top=image.top,
            config=merged,
            host=host,
            networking=endpoint_request.normalised(networking, joined.network_mode(host)),
            path=command[0],
            args=command[1:],
            directory=self._store.directory(container_id),
        )
        _set_hostname(container)
        with self._volumes.holding(container_id):
            await self._make(container, image, recursive_read_only=recursive_read_only)
        self._announcer.say(container, "create")
        return container_id, warnings

    async def _make(self, container: Container, image: Image, *, recursive_read_only: bool) -> None:
        container_id = container.container_id
        self._store.reserve(container.name, container_id)
        try:
            # First, because by it the next daemon knows of a creation that was cut short.
            os.mkdir(container.directory, 0o710)
            container.mounts = await mountpoints.resolve(
                container_id, container.config, container.host, self._volumes, self._store
            )
            if not recursive_read_only:
                for point in container.mounts:
                    if point["Type"] == "bind":
                        point["ReadOnly"] = point["ReadOnly"] or "non-recursive"
            await self._image_mounts.make(container)
            container.layers = await self._tasks.prepare(container_id, image.top)
            container.save()
        except BaseException:
            self._store.release(container.name)
            await self._volumes.forget_made_for(container_id)
            with contextlib.suppress(EngineError):
                await self._tasks.remove_snapshot(container_id)
                await self._image_mounts.remove(container_id, container.directory)
                shutil.rmtree(container.directory, ignore_errors=True)
            raise
        self._store.add(container)


def _without_image(config: dict[str, Any]) -> InvalidArgument:
    if [*(config.get("Entrypoint") or []), *(config.get("Cmd") or [])]:
        return InvalidArgument("Config.Image is empty: a container needs an image")
    return NoCommand()


def _other_platform(image: Image) -> str:
    return (
        f"The requested image's platform ({platforms.of(image.config)}) does not match the detected host platform"
        f" ({HOST}) and no specific platform was requested"
    )


def _set_hostname(container: Container) -> None:
    mode = joined.network_mode(container.host)
    own = mode != "host" and not mode.startswith(joined.JOINED)
    if not container.config.get("Hostname"):
        container.config["Hostname"] = container.container_id[:_SHORT_ID] if own else ""
