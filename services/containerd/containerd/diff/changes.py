"""What differs between two trees, directory by directory, through descriptors only: nothing is followed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_OPAQUE: Final = "trusted.overlay.opaque"
_REDIRECT: Final = "trusted.overlay.redirect"
_CAPABILITY: Final = "security.capability"
_CHUNK: Final = 1 << 18
_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Change:
    """One path that was added or changed, or with ``status`` None deleted. ``parent`` is open only until the next change."""

    path: str
    parent: int
    name: str
    status: os.stat_result | None


class Redirected(Exception):
    """An overlay's upper directory holds a renamed directory, so that it cannot be read alone."""


def changes(lower: int | None, upper: int, *, overlay: bool) -> Iterator[Change]:
    """From ``lower`` (None: from nothing) to ``upper``, parents before what is in them, names in order.

    With ``overlay``, ``upper`` is an overlay's upper directory over ``lower``: what is not in it is unchanged, and
    whiteouts delete. Raises Redirected.
    """
    return _walk("", lower, upper, overlay=overlay)


def _walk(path: str, lower: int | None, upper: int, *, overlay: bool) -> Iterator[Change]:
    ours = set(os.listdir(upper))
    theirs = set(os.listdir(lower)) if lower is not None else set()
    opaque = overlay and _xattr(upper, _OPAQUE) == b"y"
    if overlay and _xattr(upper, _REDIRECT):
        raise Redirected(path)
    candidates = ours | theirs if opaque or not overlay else ours
    for name in sorted(candidates):
        below = f"{path}/{name}" if path else name
        status = _stat(upper, name) if name in ours else None
        if status is not None and overlay and _is_whiteout(status):
            status = None
        before = _stat(lower, name) if lower is not None and name in theirs else None
        if status is None:
            if before is not None:
                yield Change(below, upper, name, None)
            continue
        if before is None or not _same(lower, before, upper, status, name):
            yield Change(below, upper, name, status)
        if stat.S_ISDIR(status.st_mode):
            yield from _below(below, lower, before, upper, name, overlay=overlay)


def _below(
    path: str,
    lower: int | None,
    before: os.stat_result | None,
    upper: int,
    name: str,
    *,
    overlay: bool,
) -> Iterator[Change]:
    with contextlib.ExitStack() as stack:
        child = os.open(name, _DIRECTORY, dir_fd=upper)
        stack.callback(os.close, child)
        known = None
        if lower is not None and before is not None and stat.S_ISDIR(before.st_mode):
            known = os.open(name, _DIRECTORY, dir_fd=lower)
            stack.callback(os.close, known)
        yield from _walk(path, known, child, overlay=overlay)


def _same(
    lower: int | None,
    before: os.stat_result,
    upper: int,
    after: os.stat_result,
    name: str,
) -> bool:
    assert lower is not None
    if (before.st_mode, before.st_uid, before.st_gid, before.st_rdev) != (
        after.st_mode,
        after.st_uid,
        after.st_gid,
        after.st_rdev,
    ):
        return False
    if _file_xattr(lower, name, _CAPABILITY) != _file_xattr(upper, name, _CAPABILITY):
        return False
    if stat.S_ISDIR(after.st_mode):
        return True
    if stat.S_ISLNK(after.st_mode):
        return os.readlink(name, dir_fd=lower) == os.readlink(name, dir_fd=upper)
    if before.st_size != after.st_size:
        return False
    if before.st_mtime_ns // _SECOND != after.st_mtime_ns // _SECOND:
        return False
    if before.st_mtime_ns % _SECOND and after.st_mtime_ns % _SECOND:
        return before.st_mtime_ns == after.st_mtime_ns
    # Times from an archive have no fractions: they say nothing about a change within the same second.
    return not stat.S_ISREG(after.st_mode) or _same_content(lower, upper, name)


def _same_content(lower: int, upper: int, name: str) -> bool:
    with (
        os.fdopen(os.open(name, _FILE, dir_fd=lower), "rb", buffering=0) as one,
        os.fdopen(os.open(name, _FILE, dir_fd=upper), "rb", buffering=0) as other,
    ):
        while True:
            data = one.read(_CHUNK)
            if data != other.read(_CHUNK):
                return False
            if not data:
                return True


def _is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _stat(directory: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _xattr(descriptor: int, key: str) -> bytes:
    try:
        return os.getxattr(descriptor, key)
    except OSError as error:
        if error.errno in {errno.ENODATA, errno.ENOTSUP}:
            return b""
        raise


def _file_xattr(directory: int, name: str, key: str) -> bytes:
    try:
        return os.getxattr(f"/proc/self/fd/{directory}/{name}", key, follow_symlinks=False)
    except OSError as error:
        if error.errno in {errno.ENODATA, errno.ENOTSUP, errno.ENOENT}:
            return b""
        raise
