"""A tree as a tar stream."""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from collections.abc import Iterator
from typing import Final

_CHUNK: Final = 1 << 20
_XATTR: Final = "SCHILY.xattr."
_KEPT_XATTRS: Final = ("security.capability",)
_TYPES: Final = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
}
END: Final = bytes(2 * tarfile.BLOCKSIZE)


class Packer:
    """Packs entries of directories; links to the same file become hard links of the first."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int], str] = {}

    def entry(self, directory: int, name: str, shown: str) -> Iterator[bytes]:
        """One entry of a directory, and everything below it, under the name ``shown``; raises OSError.

        What disappears while it is packed is left out.
        """
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return
        member = self._member(status, shown)
        if member is None:
            return
        if member.type == tarfile.SYMTYPE:
            member.linkname = os.readlink(name, dir_fd=directory)
            yield _header(member)
        elif member.type == tarfile.DIRTYPE:
            yield from self._directory(directory, name, member)
        elif member.type == tarfile.REGTYPE:
            yield from _file(directory, name, member)
        else:
            yield _header(member)

    def content(self, directory: int, shown: str) -> Iterator[bytes]:
        """Everything in a directory, below the prefix ``shown`` (empty, or with a slash at its end)."""
        for name in sorted(os.listdir(directory)):
            yield from self.entry(directory, name, shown + name)

    def _directory(self, directory: int, name: str, member: tarfile.TarInfo) -> Iterator[bytes]:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            inside = os.open(name, flags, dir_fd=directory)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            yield _header(member)
            yield from self.content(inside, member.name.rstrip("/") + "/")
        finally:
            os.close(inside)

    def _member(self, status: os.stat_result, shown: str) -> tarfile.TarInfo | None:
        kind = _TYPES.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            # A socket.
            return None
        member = tarfile.TarInfo(shown)
        member.type = kind
        member.mode = stat.S_IMODE(status.st_mode)
        member.uid, member.gid = status.st_uid, status.st_gid
        member.mtime = status.st_mtime if status.st_mtime % 1 else int(status.st_mtime)
        member.size = status.st_size if kind == tarfile.REGTYPE else 0
        member.devmajor, member.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        if status.st_nlink > 1 and kind != tarfile.DIRTYPE:
            first = self._first.setdefault((status.st_dev, status.st_ino), shown)
            if first != shown:
                member.type, member.linkname, member.size = tarfile.LNKTYPE, first, 0
        return member


def _file(directory: int, name: str, member: tarfile.TarInfo) -> Iterator[bytes]:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        for attribute in _KEPT_XATTRS:
            with contextlib.suppress(OSError):
                value = os.getxattr(file.fileno(), attribute)
                text = value.decode("utf-8", "surrogateescape")
                member.pax_headers = {**member.pax_headers, _XATTR + attribute: text}
        yield _header(member)
        left = member.size
        while left > 0:
            data = file.read(min(left, _CHUNK))
            if not data:
                # It shrank: the header has promised more.
                data = bytes(min(left, _CHUNK))
            left -= len(data)
            yield data
    yield bytes(-member.size % tarfile.BLOCKSIZE)


def _header(member: tarfile.TarInfo) -> bytes:
    if member.type == tarfile.DIRTYPE and not member.name.endswith("/"):
        member.name += "/"
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
