"""The files of a container by descriptor: as its processes see them, or mounted aside while it does not run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
from collections.abc import AsyncIterator
from typing import Any, Final

from dockerd.containers import image_mounts
from dockerd.containers.model import Container
from dockerd.containers.rootfs import RootFilesystems
from dockerd.containers.volume_use import VolumeUse
from dockerd.linux import mounts as linux_mounts
from dockerd.linux.openat import open_in_root
from dockerd.tree import paths

_ROOT: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
_TREE: Final = (
    linux_mounts.OPEN_TREE_CLONE | linux_mounts.OPEN_TREE_CLOEXEC | linux_mounts.AT_RECURSIVE
)


class Filesystems:
    """Opens the roots of containers."""

    def __init__(self, rootfs: RootFilesystems, volume_use: VolumeUse) -> None:
        self._rootfs = rootfs
        self._volume_use = volume_use

    @contextlib.asynccontextmanager
    async def opened(self, container: Container, *, volumes: bool = True) -> AsyncIterator[int]:
        """A descriptor of the root directory, with its mounts or, without ``volumes``, its own files alone.

        Raises EngineError kinds, OSError.
        """
        async with contextlib.AsyncExitStack() as held:
            descriptor = await self._open(container, held, volumes=volumes)
            held.callback(os.close, descriptor)
            yield descriptor

    async def _open(
        self, container: Container, held: contextlib.AsyncExitStack, *, volumes: bool
    ) -> int:
        async with container.lock:
            if not container.running:
                if volumes:
                    await held.enter_async_context(self._volume_use.borrowed(container))
                return await self._aside(container, volumes=volumes)
            path = f"/proc/{container.state.pid}/root" if volumes else self._rootfs.path(container)
            return os.open(path, _ROOT)

    async def _aside(self, container: Container, *, volumes: bool) -> int:
        """Mount the snapshot and its volumes, keep a detached clone of that tree, and unmount: no path leads there."""
        await self._rootfs.mount(container)
        try:
            if volumes:
                image_mounts.mount(container)
            return await asyncio.to_thread(self._clone, container, volumes=volumes)
        finally:
            image_mounts.unmount(container)
            self._rootfs.unmount(container)

    def _clone(self, container: Container, *, volumes: bool) -> int:
        merged = self._rootfs.path(container)
        if volumes:
            root = os.open(merged, _ROOT)
            try:
                for point in container.mounts:
                    _mount(root, point)
            finally:
                os.close(root)
        return linux_mounts.open_tree(merged, _TREE)


def _mount(root: int, point: dict[str, Any]) -> None:
    """A volume or bind at its place, which is made if need be; one whose source is gone is left out."""
    if point["Type"] == "tmpfs":
        return
    with contextlib.ExitStack() as opened:

        def held(descriptor: int) -> int:
            opened.callback(os.close, descriptor)
            return descriptor

        # What is below a volume may be anything that a container has put there.
        opened.enter_context(contextlib.suppress(FileNotFoundError, NotADirectoryError))
        source = held(os.open(point["Source"], os.O_PATH | os.O_CLOEXEC))
        if subpath := point.get("Subpath"):
            source = held(open_in_root(source, subpath, os.O_PATH))
        directory = stat.S_ISDIR(os.fstat(source).st_mode)
        tree = held(linux_mounts.open_tree(f"/proc/self/fd/{source}", _TREE))
        target = held(_target(root, point["Destination"], directory=directory))
        linux_mounts.attach_at(tree, target)


def _target(root: int, path: str, *, directory: bool) -> int:
    path = path.lstrip("/")
    try:
        return open_in_root(root, path, os.O_PATH)
    except FileNotFoundError:
        paths.make_directories(root, path if directory else os.path.dirname(path))
        if not directory:
            parent = open_in_root(root, os.path.dirname(path) or ".", os.O_PATH | os.O_DIRECTORY)
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(os.path.basename(path), flags, 0o644, dir_fd=parent))
            finally:
                os.close(parent)
        return open_in_root(root, path, os.O_PATH)
