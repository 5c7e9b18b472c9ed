"""How many bytes the files of a tree have."""

from __future__ import annotations

import os
from typing import Final

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def size_of(path: str) -> int:
    """The sum of all files' sizes, each file once however many names it has; links are not followed."""
    seen: set[tuple[int, int]] = set()
    try:
        root = os.open(path, _DIRECTORY)
    except OSError:
        return 0
    try:
        return _below(root, seen)
    finally:
        os.close(root)


def _below(directory: int, seen: set[tuple[int, int]]) -> int:
    total = 0
    for name in os.listdir(directory):
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            total += status.st_size
            if status.st_mode & 0o170000 == 0o040000:
                inside = os.open(name, _DIRECTORY, dir_fd=directory)
                try:
                    total += _below(inside, seen)
                finally:
                    os.close(inside)
        except OSError:
            # Gone meanwhile.
            continue
    return total
