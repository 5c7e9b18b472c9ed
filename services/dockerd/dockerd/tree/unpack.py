"""A tar archive into a directory of a root: hostile archives stay inside."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import shutil
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final

from dockerd.linux.openat import open_in_root
from dockerd.tree.paths import make_directories
from wire import bounded_tar
from wire.errors import InvalidArgument

_CHUNK: Final = 1 << 20
_XATTR: Final = "SCHILY.xattr."
_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY
_DEVICES: Final = {
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """``owner`` (uid, gid) instead of the archive's; ``keep_kind``: no directory becomes a file, nor the reverse."""

    owner: tuple[int, int] | None = None
    keep_kind: bool = False


def unpack(source: IO[bytes], root: int, target: str, rules: Rules) -> None:
    """Extract into ``target``, a path inside the root; raises InvalidArgument for what is no archive, OSError."""
    late: dict[str, float] = {}
    try:
        with bounded_tar.opened(source) as archive:
            for member in bounded_tar.members(archive):
                name = _inside(member.name)
                if name == ".":
                    continue
                _Entry(archive, member, root, target, rules).extract(name)
                if member.isdir():
                    late.pop(name, None)
                    late[name] = member.mtime
    except (tarfile.TarError, EOFError, UnicodeError) as error:
        raise InvalidArgument(f"the archive cannot be read: {error}") from error
    for name, mtime in reversed(late.items()):
        # Last, because every entry made below changes it.
        with _parent(root, target, name) as (directory, last), contextlib.suppress(OSError):
            os.utime(last, (mtime, mtime), dir_fd=directory, follow_symlinks=False)


def _inside(name: str) -> str:
    normal = posixpath.normpath(name.lstrip("/") or ".")
    if normal == ".." or normal.startswith("../"):
        raise InvalidArgument(f'"{name}" is outside of the target directory')
    return normal


@contextlib.contextmanager
def _parent(root: int, target: str, name: str) -> Iterator[tuple[int, str]]:
    """The directory that an entry goes to, made if it is not there, and the entry's own name."""
    before, last = posixpath.split(name)
    path = f"{target}/{before}".strip("/") or "."
    try:
        directory = open_in_root(root, path, _DIRECTORY)
    except FileNotFoundError:
        make_directories(root, f"{target}/{before}")
        directory = open_in_root(root, path, _DIRECTORY)
    try:
        yield directory, last
    finally:
        os.close(directory)


class _Entry:
    """One member on its way out."""

    def __init__(
        self,
        archive: tarfile.TarFile,
        member: tarfile.TarInfo,
        root: int,
        target: str,
        rules: Rules,
    ) -> None:
        self._archive = archive
        self._member = member
        self._root = root
        self._target = target
        self._rules = rules

    def extract(self, name: str) -> None:
        member = self._member
        with _parent(self._root, self._target, name) as (directory, last):
            exists = self._make_way(directory, last)
            if member.isdir():
                if not exists:
                    os.mkdir(last, 0o700, dir_fd=directory)
            elif member.isreg():
                self._write(directory, last)
            elif member.issym():
                os.symlink(member.linkname, last, dir_fd=directory)
            elif member.islnk():
                self._link(directory, last)
                return
            elif member.type in _DEVICES:
                device = os.makedev(member.devmajor, member.devminor)
                kind = _DEVICES[member.type]
                os.mknod(
                    last, 0o600 | kind, 0 if kind == stat.S_IFIFO else device, dir_fd=directory
                )
            else:
                raise InvalidArgument(f"unhandled tar header type {member.type!r}")
            self._dress(directory, last)

    def _make_way(self, directory: int, name: str) -> bool:
        """Remove what is in the way; whether a directory stays."""
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return False
        is_directory = stat.S_ISDIR(status.st_mode)
        if is_directory and self._member.isdir():
            return True
        if self._rules.keep_kind and is_directory != self._member.isdir():
            what = ("directory", "non-directory")
            old, new = what if is_directory else what[::-1]
            raise InvalidArgument(f'cannot overwrite {old} "{name}" with {new} "{self._target}"')
        if is_directory:
            shutil.rmtree(name, dir_fd=directory)
        else:
            os.unlink(name, dir_fd=directory)
        return False

    def _write(self, directory: int, name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o600, dir_fd=directory)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            source = self._archive.extractfile(self._member)
            assert source is not None
            shutil.copyfileobj(source, file, _CHUNK)

    def _link(self, directory: int, name: str) -> None:
        linked = _inside(self._member.linkname)
        with _parent(self._root, self._target, linked) as (other, last):
            os.link(last, name, src_dir_fd=other, dst_dir_fd=directory, follow_symlinks=False)

    def _dress(self, directory: int, name: str) -> None:
        """Owner, mode, extended attributes and time, on the very entry that was made."""
        member = self._member
        uid, gid = self._rules.owner or (member.uid, member.gid)
        os.chown(name, uid, gid, dir_fd=directory, follow_symlinks=False)
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        try:
            path = f"/proc/self/fd/{descriptor}"
            if not member.issym():
                os.chmod(path, member.mode & 0o7777)
                for key, value in member.pax_headers.items():
                    if key.startswith(_XATTR):
                        _set_xattr(path, key.removeprefix(_XATTR), value)
        finally:
            os.close(descriptor)
        os.utime(name, (member.mtime, member.mtime), dir_fd=directory, follow_symlinks=False)


def _set_xattr(path: str, name: str, value: str) -> None:
    try:
        os.setxattr(path, name, value.encode("utf-8", "surrogateescape"))
    except OSError as error:
        if error.errno not in {errno.ENOTSUP, errno.EPERM}:
            raise
