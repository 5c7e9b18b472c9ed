"""Processes that are not our children: found without confusing one with a later one of the same pid, and their ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

# linux/pidfd.h, since 6.13 and (PIDFD_INFO_EXIT) 6.15.
_GET_INFO: Final = 0xC040FF0B
_INFO_SIZE: Final = 64
_INFO_EXIT: Final = 8
_EXIT_CODE_AT: Final = 60
_START_TIME_FIELD: Final = 19


def start_time(pid: int) -> int:
    """When a living process was started, in clock ticks since boot; 0 if there is none, or only its zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if not fields or fields[0] in {b"Z", b"X"} else int(fields[_START_TIME_FIELD])


def open_same(pid: int, started: int) -> int | None:
    """A pidfd of the process ``pid`` that began at ``started`` ticks; None if it has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except (OSError, OverflowError, ValueError):
        return None
    # Looked at after opening: what the descriptor stands for cannot change any more.
    if started and start_time(pid) == started:
        return descriptor
    with contextlib.suppress(OSError):
        os.close(descriptor)
    return None


def exit_status(descriptor: int) -> int | None:
    """The wait status of an ended process, whoever reaped it; None if the kernel does not tell (before Linux 6.15).

    Raises BlockingIOError while it lives or nobody has reaped it; the pidfd then hangs up when that happens.
    """
    buffer = bytearray(_INFO_SIZE)
    struct.pack_into("<Q", buffer, 0, _INFO_EXIT)
    try:
        fcntl.ioctl(descriptor, _GET_INFO, buffer)
    except OSError:
        return None
    if not struct.unpack_from("<Q", buffer)[0] & _INFO_EXIT:
        raise BlockingIOError("the process has not been reaped")
    return int(struct.unpack_from("<i", buffer, _EXIT_CODE_AT)[0])
