"""A container's root file system: its snapshot, and where that is mounted."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from typing import Final

from dockerd.containerd_client.tasks import Mount, Tasks
from dockerd.containers.model import Container
from dockerd.images.store import ImageStore
from dockerd.linux import mounts as linux_mounts
from wire.errors import EngineError, NotFound

_MOUNT_TRIES: Final = 20


class RootFilesystems:
    """Mounts and unmounts snapshots below the data root."""

    def __init__(self, tasks: Tasks, data_root: str) -> None:
        self._tasks = tasks
        self._merged_root = os.path.join(data_root, "rootfs", "overlayfs")

    def path(self, container: Container) -> str:
        """Where its root file system is mounted while it runs."""
        return f"{self._merged_root}/{container.container_id}"

    def is_left(self, container: Container) -> bool:
        """Whether there is a mount, or its folder."""
        return os.path.isdir(self.path(container))

    async def mount(self, container: Container) -> str:
        """Mount the snapshot; the path. Raises EngineError kinds, OSError."""
        merged = self.path(container)
        mounts = await self._mounts(container)
        os.makedirs(merged, mode=0o711, exist_ok=True)
        detach(merged)
        mount_layers(mounts, merged)
        return merged

    async def _mounts(self, container: Container) -> list[Mount]:
        if container.layers is None:
            container.layers = await self._tasks.mounts(container.container_id)
        return container.layers

    @staticmethod
    def mark(merged: str) -> None:
        """The file by which programs know that they are in a container of Docker."""
        root = os.open(merged, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(OSError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(".dockerenv", flags, 0o755, dir_fd=root))
        finally:
            os.close(root)

    def unmount(self, container: Container) -> None:
        """Harmless for one that is not mounted."""
        merged = self.path(container)
        detach(merged)
        with contextlib.suppress(OSError):
            os.rmdir(merged)

    async def layers(self, container: Container) -> tuple[list[str], str, str] | None:
        """Lower directories, upper and work directory of its snapshot; None if there is none."""
        try:
            mounts = await self._mounts(container)
        except EngineError:
            return None
        found = {"lowerdir": "", "upperdir": "", "workdir": ""}
        for kind, source, options in mounts:
            if kind == "bind":
                found["upperdir"] = source
            for option in options:
                key, _, value = option.partition("=")
                if key in found:
                    found[key] = value
        return found["lowerdir"].split(":"), found["upperdir"], found["workdir"]

    async def sizes(self, container: Container, images: ImageStore) -> dict[str, int]:
        """SizeRw and SizeRootFs: the bytes of its writable layer, and those together with its image's."""
        own = await self.size(container)
        try:
            below = (await images.find(container.image)).size
        except NotFound:
            below = 0
        return {"SizeRw": own, "SizeRootFs": own + below}

    async def size(self, container: Container) -> int:
        """The bytes of its writable layer."""
        return await self._tasks.usage(container.container_id)


def mount_layers(mounts: Iterable[Mount], target: str) -> None:
    """Mount a snapshot; raises OSError."""
    for kind, source, options in mounts:
        flags, data = 0, []
        for word in options:
            if word in {"bind", "rbind"}:
                flags |= linux_mounts.MS_BIND | (linux_mounts.MS_REC if word == "rbind" else 0)
            elif word == "ro":
                flags |= linux_mounts.MS_RDONLY
            elif word != "rw":
                data.append(word)
        linux_mounts.mount(source, target, kind, flags, ",".join(data) or None)


def detach(merged: str) -> None:
    """Unmount all that is mounted there; harmless where nothing is."""
    for _ in range(_MOUNT_TRIES):
        try:
            linux_mounts.umount(merged, linux_mounts.MNT_DETACH | linux_mounts.UMOUNT_NOFOLLOW)
        except OSError:
            # EINVAL: nothing is mounted there (any more).
            return
