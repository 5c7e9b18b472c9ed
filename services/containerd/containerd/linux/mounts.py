"""Mounts: as a client describes them; and those that nobody sees, made in a mount namespace of a passing thread, alive as
long as a descriptor is open.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterable, Sequence
from typing import Final

from wire import mount_options

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNS: Final = 0x00020000
_MS_RDONLY: Final = 0x1
_MS_REC: Final = 0x4000
_MS_PRIVATE: Final = 0x40000
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A page less its NUL.
_LONGEST: Final = 4095


def mount(source: str, target: str, kind: str, options: Iterable[str]) -> None:
    """mount(2) with the words of a containerd Mount."""
    flags, data = mount_options.split(options)
    what = (os.fsencode(source), os.fsencode(target), kind.encode())
    _mount(*what, flags, os.fsencode(data) or None)
    if flags & mount_options.BIND and flags & mount_options.READ_ONLY:
        # The kernel ignores MS_RDONLY in the first call of a bind mount.
        _mount(*what, flags | mount_options.REMOUNT, None)


def open_overlay(layers: Sequence[str], place: str) -> int:
    """A descriptor of the merged, read-only tree of directories, the topmost first; one is opened as it is.

    ``place`` is a directory to mount on; nothing appears there. When the process dies, the kernel takes the mount away.
    """
    if len(layers) == 1:
        return os.open(layers[0], _DIRECTORY)
    outcome: list[int | OSError] = []

    def run() -> None:
        try:
            outcome.append(_mounted(layers, place))
        except OSError as error:
            outcome.append(error)

    # Its own thread: it never comes back from its namespace.
    thread = threading.Thread(target=run, name="mount")
    thread.start()
    thread.join()
    found = outcome[0]
    if isinstance(found, OSError):
        raise found
    return found


def _mounted(layers: Sequence[str], place: str) -> int:
    _check(_LIBC.unshare(_CLONE_NEWNS), "unshare")
    _mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    prefix = os.path.commonpath([os.path.dirname(each) for each in layers])
    # The thread has its own working directory now: names below it are short enough for a page.
    os.chdir(prefix)
    names = [os.path.relpath(each, prefix) for each in layers]
    if any(":" in name or "\\" in name or "," in name for name in names):
        raise OSError(22, "a layer's path cannot be given to overlayfs", prefix)
    data = f"index=off,lowerdir={':'.join(names)}"
    if len(os.fsencode(data)) > _LONGEST:
        raise OSError(7, "too many layers for one overlay mount", prefix)
    _mount(b"overlay", os.fsencode(place), b"overlay", _MS_RDONLY, os.fsencode(data))
    return os.open(place, _DIRECTORY)


def _mount(
    source: bytes, target: bytes, kind: bytes | None, flags: int, data: bytes | None
) -> None:
    _check(_LIBC.mount(source, target, kind, ctypes.c_ulong(flags), data), os.fsdecode(target))


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
