"""`docker diff`: the container's own layer compared with its image."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import Any, Final

from dockerd.containers.rootfs import RootFilesystems
from dockerd.containers.store import ContainerStore
from dockerd.linux import mounts as linux_mounts

_MODIFIED: Final = 0
_ADDED: Final = 1
_DELETED: Final = 2
_OPAQUE: Final = "trusted.overlay.opaque"
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# What the runtime makes for its mounts, which Docker keeps in a layer of its own.
_RUNTIME: Final = frozenset(
    {"/.dockerenv", "/dev", "/proc", "/sys", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
)


class Differ:
    """Compares containers with their images."""

    def __init__(self, store: ContainerStore, rootfs: RootFilesystems, scratch: str) -> None:
        """``scratch`` is a folder for mounts that last a moment."""
        self._store = store
        self._rootfs = rootfs
        self._scratch = scratch

    async def changes(self, reference: str) -> list[dict[str, Any]]:
        """GET /containers/{id}/changes: paths with 0 (modified), 1 (added) or 2 (deleted)."""
        container = self._store.get(reference)
        layers = await self._rootfs.layers(container)
        if layers is None:
            return []
        lower, upper, _ = layers
        return await asyncio.to_thread(self._compare, [each for each in lower if each], upper)

    def _compare(self, lower: list[str], upper: str) -> list[dict[str, Any]]:
        with self._image(lower) as image:
            root = os.open(upper, _DIRECTORY)
            try:
                found = list(_walk(root, image, "/"))
            finally:
                os.close(root)
        changed = [(path, kind) for path, kind in found if path not in _RUNTIME]
        parents = {os.path.dirname(path) for path, _ in changed}
        return [
            {"Path": path, "Kind": kind}
            for path, kind in sorted(changed)
            # A directory that was copied up for one of the runtime's files alone has not changed.
            if not (path == "/etc" and kind == _MODIFIED and path not in parents)
        ]

    @contextlib.contextmanager
    def _image(self, lower: list[str]) -> Iterator[int | None]:
        """A descriptor of the image's tree; None for an image without layers."""
        if not lower:
            yield None
            return
        if len(lower) == 1:
            descriptor = os.open(lower[0], _DIRECTORY)
        else:
            with tempfile.TemporaryDirectory(dir=self._scratch) as place:
                options = "lowerdir=" + ":".join(lower)
                linux_mounts.mount("overlay", place, "overlay", linux_mounts.MS_RDONLY, options)
                try:
                    descriptor = linux_mounts.open_tree(place)
                finally:
                    linux_mounts.umount(place, linux_mounts.MNT_DETACH)
        try:
            yield descriptor
        finally:
            os.close(descriptor)


def _walk(upper: int, lower: int | None, prefix: str) -> Iterator[tuple[str, int]]:
    """Changes below a directory of the upper layer; ``lower`` is the same directory of the image, if it has one."""
    for name in os.listdir(upper):
        status = os.stat(name, dir_fd=upper, follow_symlinks=False)
        before = _status(lower, name)
        path = prefix + name
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            if before is not None:
                yield path, _DELETED
            continue
        yield path, _ADDED if before is None else _MODIFIED
        if not stat.S_ISDIR(status.st_mode):
            continue
        inside = os.open(name, _DIRECTORY, dir_fd=upper)
        try:
            with _same(lower, name, before) as same:
                if same is not None and _opaque(inside):
                    names = set(os.listdir(inside))
                    yield from (
                        (f"{path}/{each}", _DELETED)
                        for each in os.listdir(same)
                        if each not in names
                    )
                yield from _walk(inside, same, f"{path}/")
        finally:
            os.close(inside)


def _status(directory: int | None, name: str) -> os.stat_result | None:
    if directory is None:
        return None
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _same(lower: int | None, name: str, before: os.stat_result | None) -> Iterator[int | None]:
    if lower is None or before is None or not stat.S_ISDIR(before.st_mode):
        yield None
        return
    descriptor = os.open(name, _DIRECTORY, dir_fd=lower)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _opaque(directory: int) -> bool:
    try:
        return os.getxattr(directory, _OPAQUE) == b"y"
    except OSError:
        return False
