"""Copying a tree with all that it is: owners, modes, times, extended attributes, hard links, devices, holes."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

_CHUNK: Final = 1 << 26
# What a file system does not have, or a process may not set, when the source had it.
_UNSUPPORTED: Final = frozenset({errno.ENOTSUP, errno.EOPNOTSUPP})


def copy_tree(source: str, target: str) -> None:
    """Copy what is in the directory ``source`` into the empty directory ``target``, and the first's own attributes.

    Blocking. Data is shared with the source where the file system can do that. Raises OSError.
    """
    links: dict[int, str] = {}
    # Directories get their times when they are full.
    directories = [(source, target)]
    for above, into in directories:
        with os.scandir(above) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                copy = f"{into}/{entry.name}"
                if stat.S_ISDIR(status.st_mode):
                    os.mkdir(copy, 0o700)
                    directories.append((entry.path, copy))
                    continue
                if status.st_nlink > 1:
                    first = links.setdefault(status.st_ino, copy)
                    if first is not copy:
                        os.link(first, copy, follow_symlinks=False)
                        continue
                _make(entry.path, copy, status)
                _copy_attributes(entry.path, copy, status)
    for above, into in reversed(directories):
        _copy_attributes(above, into, os.lstat(above))


def _make(source: str, target: str, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        _copy_data(source, target, status.st_size)
    elif stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(source), target)
    else:
        os.mknod(target, status.st_mode, status.st_rdev)


def _copy_data(source: str, target: str, size: int) -> None:
    reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.truncate(writer, size)
            offset = 0
            while offset < size:
                try:
                    offset = os.lseek(reader, offset, os.SEEK_DATA)
                    end = os.lseek(reader, offset, os.SEEK_HOLE)
                except OSError as error:
                    if error.errno != errno.ENXIO:
                        raise
                    # A hole up to the end.
                    break
                while offset < end:
                    count = min(end - offset, _CHUNK)
                    done = os.copy_file_range(reader, writer, count, offset, offset)
                    if not done:
                        return
                    offset += done
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_attributes(source: str, target: str, status: os.stat_result) -> None:
    os.lchown(target, status.st_uid, status.st_gid)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(target, stat.S_IMODE(status.st_mode))
    # After the owner, whose change takes capabilities away.
    for name in os.listxattr(source, follow_symlinks=False):
        try:
            value = os.getxattr(source, name, follow_symlinks=False)
            os.setxattr(target, name, value, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
