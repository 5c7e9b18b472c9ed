"""The words of a mount's options, as containerd and fstab(5) have them, in terms of mount(2)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

READ_ONLY: Final = 0x1
REMOUNT: Final = 0x20
BIND: Final = 0x1000
_FLAGS: Final = {
    "ro": READ_ONLY, "nosuid": 0x2, "nodev": 0x4, "noexec": 0x8, "sync": 0x10, "remount": REMOUNT, "dirsync": 0x80,
    "noatime": 0x400, "nodiratime": 0x800, "bind": BIND, "rbind": BIND | 0x4000, "private": 0x40000,
    "rprivate": 0x44000, "slave": 0x80000, "rslave": 0x84000, "shared": 0x100000, "rshared": 0x104000,
    "relatime": 0x200000, "strictatime": 0x1000000,
}  # fmt: skip
_NOTHING: Final = frozenset({"rw", "defaults", "suid", "dev", "exec", "async", "atime"})


def split(options: Iterable[str]) -> tuple[int, str]:
    """The flags, and what is left for the file system, joined by commas."""
    flags = 0
    data = []
    for word in options:
        if word in _FLAGS:
            flags |= _FLAGS[word]
        elif word not in _NOTHING:
            data.append(word)
    return flags, ",".join(data)
