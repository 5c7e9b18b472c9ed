"""Paths of a container as a client names them, resolved inside its root."""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from dockerd.linux.openat import open_in_root

_LONGEST_CHAIN: Final = 255
# Go's os.FileMode bits.
_GO_TYPES: Final = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_GO_BITS: Final = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


def clean(path: str) -> str:
    """Absolute and normal, but with the slash or dot at the end that says "what it leads to"."""
    normal = posixpath.normpath("/" + path)
    if path.endswith(("/.",)) or path == ".":
        return normal.rstrip("/") + "/."
    return normal.rstrip("/") + "/" if path.endswith("/") else normal


@contextlib.contextmanager
def opened(root: int, path: str, flags: int) -> Iterator[int]:
    """A descriptor of what the path leads to; raises OSError."""
    descriptor = open_in_root(root, path.lstrip("/") or ".", flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def make_directories(root: int, path: str) -> None:
    """Make what is missing of a path; raises OSError."""
    done = "."
    for part in filter(None, path.split("/")):
        directory = open_in_root(root, done, os.O_PATH | os.O_DIRECTORY)
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=directory)
        finally:
            os.close(directory)
        done = f"{done}/{part}"


def find(root: int, path: str) -> tuple[str, os.stat_result]:
    """The last component of a path and its status, a link not followed unless a slash ends the path; raises OSError."""
    if path in {"/", "/."} or path.endswith(("/", "/.")):
        with opened(root, path, os.O_PATH) as descriptor:
            status = os.fstat(descriptor)
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            return posixpath.basename(path) or posixpath.basename(path.rstrip("/")) or "/", status
    parent, name = posixpath.split(path)
    with opened(root, parent, os.O_PATH | os.O_DIRECTORY) as directory:
        return name, os.stat(name, dir_fd=directory, follow_symlinks=False)


def link_target(root: int, path: str) -> str:
    """Where a path ends when every link in it is followed, as a path in the container; the last part need not exist."""
    pending = [part for part in path.split("/") if part]
    done: list[str] = []
    for _ in range(_LONGEST_CHAIN + len(pending)):
        if not pending:
            return "/" + "/".join(done)
        part = pending.pop(0)
        if part == "..":
            done = done[:-1]
            continue
        if part == ".":
            continue
        try:
            with opened(root, "/".join(done), os.O_PATH | os.O_DIRECTORY) as directory:
                target = os.readlink(part, dir_fd=directory)
        except OSError:
            # No link, or nothing there.
            done.append(part)
            continue
        pending = [each for each in target.split("/") if each] + pending
        if target.startswith("/"):
            done = []
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def document(root: int, path: str) -> dict[str, Any]:
    """X-Docker-Container-Path-Stat of a path; raises OSError."""
    name, status = find(root, path)
    return {
        "name": name,
        "size": status.st_size,
        "mode": go_mode(status.st_mode),
        "mtime": datetime.fromtimestamp(status.st_mtime, UTC).isoformat().replace("+00:00", "Z"),
        "linkTarget": link_target(root, path) if stat.S_ISLNK(status.st_mode) else "",
    }


def go_mode(mode: int) -> int:
    """A mode of the kernel as Go's os.FileMode."""
    found = mode & 0o777 | _GO_TYPES.get(stat.S_IFMT(mode), 0)
    for bit, go_bit in _GO_BITS.items():
        if mode & bit:
            found |= go_bit
    return found
