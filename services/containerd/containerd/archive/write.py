"""Writing a layer: changed files as a tar stream, deleted ones as whiteouts."""

from __future__ import annotations

import contextlib
import os
import stat
import tarfile
from collections.abc import Callable
from typing import Any, Final

_WHITEOUT: Final = ".wh."
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_XATTR: Final = "SCHILY.xattr."
_KINDS: Final = (
    (stat.S_ISREG, tarfile.REGTYPE),
    (stat.S_ISDIR, tarfile.DIRTYPE),
    (stat.S_ISLNK, tarfile.SYMTYPE),
    (stat.S_ISFIFO, tarfile.FIFOTYPE),
    (stat.S_ISCHR, tarfile.CHRTYPE),
    (stat.S_ISBLK, tarfile.BLKTYPE),
)


class LayerWriter:
    """Writes entries to a file. ``latest``: no time is later than this one, in seconds, so that builds are repeatable."""

    def __init__(self, out: Any, latest: int | None = None) -> None:
        self._archive = tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._latest = latest
        self._links: dict[tuple[int, int], str] = {}

    def add(self, path: str, parent: int, name: str, status: os.stat_result) -> None:
        """What is at ``name`` in the directory behind ``parent``. Sockets have no form in an archive and are left out."""
        kind = next((found for check, found in _KINDS if check(status.st_mode)), None)
        if kind is None:
            return
        member = tarfile.TarInfo(f"{path}/" if kind == tarfile.DIRTYPE else path)
        member.type = kind
        member.mode = stat.S_IMODE(status.st_mode)
        member.uid, member.gid = status.st_uid, status.st_gid
        member.mtime = self._time(status.st_mtime_ns // 1_000_000_000)
        member.pax_headers = _xattrs(parent, name, status)
        if kind == tarfile.SYMTYPE:
            member.linkname = os.readlink(name, dir_fd=parent)
        elif kind in {tarfile.CHRTYPE, tarfile.BLKTYPE}:
            member.devmajor, member.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
        if kind != tarfile.DIRTYPE and status.st_nlink > 1:
            inode = status.st_dev, status.st_ino
            if inode in self._links:
                member.type, member.linkname = tarfile.LNKTYPE, self._links[inode]
                self._archive.addfile(member)
                return
            self._links[inode] = path
        if kind != tarfile.REGTYPE:
            self._archive.addfile(member)
            return
        with os.fdopen(os.open(name, _FILE, dir_fd=parent), "rb") as file:
            # Of the file as it is now: the archive's length must be right even if somebody writes to it.
            member.size = os.fstat(file.fileno()).st_size
            self._archive.addfile(member, file)

    def delete(self, path: str) -> None:
        """A whiteout of ``path``."""
        directory, name = os.path.split(path)
        member = tarfile.TarInfo(os.path.join(directory, f"{_WHITEOUT}{name}"))
        member.mtime = self._latest or 0
        self._archive.addfile(member)

    def close(self) -> None:
        """End the archive."""
        self._archive.close()

    def _time(self, moment: int) -> int:
        return moment if self._latest is None else min(moment, self._latest)


def _xattrs(parent: int, name: str, status: os.stat_result) -> dict[str, str]:
    """File capabilities and the user's own attributes."""
    found: dict[str, str] = {}
    if stat.S_ISLNK(status.st_mode):
        return found
    path = f"/proc/self/fd/{parent}/{name}"
    wanted: Callable[[str], bool] = lambda key: (  # noqa: E731 - used once, next line
        key == "security.capability" or (key.startswith("user.") and "overlay." not in key)
    )
    with contextlib.suppress(OSError):
        for key in filter(wanted, os.listxattr(path, follow_symlinks=False)):
            value = os.getxattr(path, key, follow_symlinks=False)
            found[f"{_XATTR}{key}"] = value.decode("utf-8", "surrogateescape")
    return found
