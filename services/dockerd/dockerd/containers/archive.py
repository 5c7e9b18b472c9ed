"""`docker cp`, both ways, and `docker export`: by descriptors inside the container's root."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import posixpath
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from dockerd.containers.announce import Announcer
from dockerd.containers.filesystem import Filesystems
from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore
from dockerd.spec.identity import resolve_user_in
from dockerd.tree import paths
from dockerd.tree.pack import END, Packer
from dockerd.tree.unpack import Rules, unpack
from wire.errors import InvalidArgument, NotFound, PermissionDenied

_BATCH: Final = 1 << 20


class Archiver:
    """Moves files between clients and containers."""

    def __init__(
        self,
        store: ContainerStore,
        filesystems: Filesystems,
        announcer: Announcer,
        scratch: str,
    ) -> None:
        """``scratch`` is a folder for uploads in progress."""
        self._store = store
        self._filesystems = filesystems
        self._announcer = announcer
        self._scratch = scratch

    async def stat(self, reference: str, path: str) -> dict[str, Any]:
        """X-Docker-Container-Path-Stat; raises NotFound, InvalidArgument."""
        container = self._store.get(reference)
        async with self._filesystems.opened(container) as root:
            with _translated(reference, path):
                return await asyncio.to_thread(paths.document, root, _checked(path))

    async def read(self, reference: str, path: str) -> tuple[dict[str, Any], AsyncIterator[bytes]]:
        """The status of a path and a tar archive of it; raises NotFound, InvalidArgument.

        The archive must be read to its end, or closed.
        """
        container = self._store.get(reference)
        clean = _checked(path)
        held = contextlib.AsyncExitStack()
        try:
            root = await held.enter_async_context(self._filesystems.opened(container))
            with _translated(reference, path):
                document = await asyncio.to_thread(paths.document, root, clean)
        except BaseException:
            await held.aclose()
            raise
        self._announcer.say(container, "archive-path")
        return document, _streamed(_packed(root, clean), held)

    async def write(
        self,
        reference: str,
        path: str,
        chunks: AsyncIterator[bytes],
        *,
        keep_kind: bool,
        own: bool,
    ) -> None:
        """Extract an archive into a directory; ``own``: as files of the container's user.

        Raises NotFound, InvalidArgument, PermissionDenied for what is mounted read-only.
        """
        container = self._store.get(reference)
        clean = _checked(path)
        with tempfile.TemporaryFile(dir=self._scratch) as upload:
            async for chunk in chunks:
                await asyncio.to_thread(upload.write, chunk)
            upload.seek(0)
            async with self._filesystems.opened(container) as root:
                with _translated(reference, path):
                    target = await asyncio.to_thread(_target, root, clean)
                    _check_writable(container, target)
                    owner = _owner(container, root) if own else None
                    rules = Rules(owner=owner, keep_kind=keep_kind)
                    await asyncio.to_thread(unpack, upload, root, target, rules)
        self._announcer.say(container, "extract-to-dir")

    async def export(self, reference: str) -> AsyncIterator[bytes]:
        """A tar archive of its own files, without volumes."""
        container = self._store.get(reference)
        held = contextlib.AsyncExitStack()
        root = await held.enter_async_context(self._filesystems.opened(container, volumes=False))
        self._announcer.say(container, "export")
        return _streamed(_exported(root), held)


def _checked(path: str) -> str:
    if not path:
        raise InvalidArgument("bad parameter: path cannot be empty")
    if "\0" in path:
        raise InvalidArgument("bad parameter: path has a zero byte")
    return paths.clean(path)


@contextlib.contextmanager
def _translated(reference: str, path: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"Could not find the file {path} in container {reference}") from error
    except OSError as error:
        words = (os.strerror(error.errno) if error.errno else str(error)).lower()
        if error.errno == errno.EROFS:
            raise PermissionDenied("container rootfs is marked read-only") from error
        raise InvalidArgument(f"{path}: {words}") from error


def _packed(root: int, path: str) -> Iterator[bytes]:
    """The entries of an archive, named after the last part of the path."""
    name, status = paths.find(root, path)
    packer = Packer()
    if stat.S_ISDIR(status.st_mode):
        with paths.opened(root, path, os.O_RDONLY | os.O_DIRECTORY) as directory:
            yield from packer.entry(directory, ".", name)
    else:
        parent = posixpath.dirname(path)
        with paths.opened(root, parent, os.O_PATH | os.O_DIRECTORY) as directory:
            yield from packer.entry(directory, name, name)
    yield END


def _exported(root: int) -> Iterator[bytes]:
    with paths.opened(root, "/.", os.O_RDONLY | os.O_DIRECTORY) as directory:
        yield from Packer().content(directory, "")
    yield END


async def _streamed(
    pieces: Iterator[bytes], held: contextlib.AsyncExitStack
) -> AsyncIterator[bytes]:
    try:
        while data := await asyncio.to_thread(_batch, pieces):
            yield data
    finally:
        await held.aclose()


def _batch(pieces: Iterator[bytes]) -> bytes:
    found = bytearray()
    for piece in pieces:
        found += piece
        if len(found) >= _BATCH:
            break
    return bytes(found)


def _target(root: int, path: str) -> str:
    """The directory to extract into, with every link followed; raises InvalidArgument, OSError."""
    target = paths.link_target(root, path)
    with paths.opened(root, target, os.O_PATH) as descriptor:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise InvalidArgument("extraction point is not a directory")
    return target


def _check_writable(container: Container, target: str) -> None:
    mounted = [
        point
        for point in container.mounts
        if target == point["Destination"]
        or target.startswith(point["Destination"].rstrip("/") + "/")
    ]
    if mounted:
        if not max(mounted, key=lambda point: len(point["Destination"]))["RW"]:
            raise PermissionDenied("mounted volume is marked read-only")
    elif container.host.get("ReadonlyRootfs"):
        raise PermissionDenied("container rootfs is marked read-only")


def _owner(container: Container, root: int) -> tuple[int, int]:
    found = resolve_user_in(root, container.config.get("User") or "", [])
    return found["uid"], found["gid"]
