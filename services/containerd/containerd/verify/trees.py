"""A layer's files as they were unpacked, against those in its snapshot; and putting the first in the place of the second."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

_CHUNK: Final = 1 << 20
_OPAQUE: Final = "trusted.overlay.opaque"


@dataclass(frozen=True, slots=True)
class Difference:
    """One path, relative to the tree's root, and what is wrong with it."""

    path: str
    fault: str


def compare(expected: str, found: str, implied: Collection[str]) -> Iterator[Difference]:
    """How a tree differs from what is expected; what is below a directory that is missing or too much is not told.

    ``implied`` are directories whose look the layer does not say. Nothing is followed.
    """
    yield from _below(expected, found, "", implied)


def _below(expected: str, found: str, path: str, implied: Collection[str]) -> Iterator[Difference]:
    ours, theirs = set(_names(expected, path)), set(_names(found, path))
    for name in sorted(theirs - ours):
        yield Difference(os.path.join(path, name), "does not belong to the layer")
    for name in sorted(ours):
        each = os.path.join(path, name)
        if name not in theirs:
            yield Difference(each, "is missing")
            continue
        fault = _fault(
            os.path.join(expected, each), os.path.join(found, each), implied=each in implied
        )
        if fault:
            yield Difference(each, fault)
        if _is_directory(os.path.join(expected, each)) and _is_directory(os.path.join(found, each)):
            yield from _below(expected, found, each, implied)


def _names(root: str, path: str) -> list[str]:
    return os.listdir(os.path.join(root, path) if path else root)


def _is_directory(path: str) -> bool:
    return stat.S_ISDIR(os.lstat(path).st_mode)


def _fault(expected: str, found: str, *, implied: bool) -> str:
    one, other = os.lstat(expected), os.lstat(found)
    if stat.S_IFMT(one.st_mode) != stat.S_IFMT(other.st_mode):
        return "is of another type"
    if implied:
        return ""
    if (one.st_uid, one.st_gid) != (other.st_uid, other.st_gid):
        return f"belongs to {other.st_uid}:{other.st_gid}, not {one.st_uid}:{one.st_gid}"
    if one.st_mode != other.st_mode:
        return f"has mode {other.st_mode & 0o7777:o}, not {one.st_mode & 0o7777:o}"
    if one.st_rdev != other.st_rdev:
        return "is another device"
    if stat.S_ISLNK(one.st_mode):
        return "" if os.readlink(expected) == os.readlink(found) else "leads elsewhere"
    if _attributes(expected) != _attributes(found):
        return "has other extended attributes"
    if stat.S_ISREG(one.st_mode):
        if one.st_size != other.st_size:
            return f"has {other.st_size} bytes, not {one.st_size}"
        return _content_fault(expected, found)
    return ""


def _content_fault(expected: str, found: str) -> str:
    try:
        with open(expected, "rb", buffering=0) as one, open(found, "rb", buffering=0) as other:
            while True:
                data = one.read(_CHUNK)
                if data != other.read(_CHUNK):
                    return "has other bytes"
                if not data:
                    return ""
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def _attributes(path: str) -> dict[str, bytes]:
    found = {}
    with contextlib.suppress(OSError):
        for key in os.listxattr(path, follow_symlinks=False):
            # The overlay's own notes say where a file came from; only one of them is the layer's.
            if key == _OPAQUE or not key.startswith("trusted.overlay."):
                found[key] = os.getxattr(path, key, follow_symlinks=False)
    return found


def mend(expected: str, found: str, difference: Difference) -> None:
    """Put what is expected at a path in the place of what is there; it is gone from the expected tree then."""
    source, target = os.path.join(expected, difference.path), os.path.join(found, difference.path)
    wanted = os.path.lexists(source)
    if wanted and os.path.lexists(target) and _is_directory(source) and _is_directory(target):
        _look(source, target)
        return
    if os.path.lexists(target) and _is_directory(target):
        shutil.rmtree(target)
    elif os.path.lexists(target) and not wanted:
        os.unlink(target)
    if wanted:
        os.rename(source, target)


def _look(source: str, target: str) -> None:
    status = os.lstat(source)
    os.chown(target, status.st_uid, status.st_gid)
    os.chmod(target, stat.S_IMODE(status.st_mode))
    wanted = _attributes(source)
    for key in _attributes(target).keys() - wanted.keys():
        os.removexattr(target, key)
    for key, value in wanted.items():
        os.setxattr(target, key, value)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
