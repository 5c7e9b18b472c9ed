"""Every process that ends is learned of here, and its status reaches whoever waits for it, also if nobody does yet.

A container's process can end before the runtime has told us its pid: statuses without an owner are kept until the
pid is claimed, or until no runtime call is under way any more. A process that another shim brought forth is no child of
ours: it is watched by its pidfd.
"""

from __future__ import annotations

import os
import time

from shim import linux
from shim.loop import READ, Future
from wire import pidfd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from shim.loop import Loop

_SIGNAL_BASE: Final = 128
_KILLED: Final = 137


class Exit:
    """How a process ended, in a shell's terms (128 and the signal), and when (nanoseconds since 1970)."""

    __slots__ = ("at", "status")

    def __init__(self, status: int, at: int) -> None:
        self.status = status
        self.at = at


class Exits:
    """The table of waiters. The shim is a subreaper: orphans of the container arrive here, too."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._waiting: dict[int, Future[Exit]] = {}
        self._unclaimed: dict[int, Exit] = {}
        self._expecting = 0
        self._ends = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        linux.hear_of_children(self._ends[1])
        loop.watch(self._ends[0], READ, self._woken)

    def expect(self) -> None:
        """A runtime call begins that may bring forth a process whose pid is not known yet."""
        self._expecting += 1

    def expected(self) -> None:
        """The call is over and its pid, if any, was claimed."""
        self._expecting -= 1
        if not self._expecting:
            self._unclaimed.clear()

    def claim(self, pid: int) -> Future[Exit]:
        """The end of a child; complete at once if it was reaped already."""
        future: Future[Exit] = Future()
        early = self._unclaimed.pop(pid, None)
        if early is not None:
            future.set(early)
        else:
            self._waiting[pid] = future
        return future

    def watch(self, descriptor: int) -> Future[Exit]:
        """The end of a process that is not our child; takes its pidfd.

        Its status is the kernel's (Linux 6.15 and later), else that of a process whose end nobody saw: 137.
        """
        future: Future[Exit] = Future()

        def ended(_events: int) -> None:
            try:
                status = pidfd.exit_status(descriptor)
            except BlockingIOError:
                # A zombie: the hang-up comes once whoever inherited it has reaped it.
                self._loop.watch(descriptor, 0, ended)
                return
            self._loop.forget(descriptor)
            os.close(descriptor)
            future.set(Exit(_KILLED if status is None else shell_status(status), time.time_ns()))

        self._loop.watch(descriptor, READ, ended)
        return future

    @staticmethod
    def unseen() -> Exit:
        """The end of a process that nobody saw."""
        return Exit(_KILLED, time.time_ns())

    def close(self) -> None:
        """Stop listening for the ends of children."""
        linux.hear_of_children(-1)
        for end in self._ends:
            os.close(end)

    def _woken(self, _events: int) -> None:
        os.read(self._ends[0], 4096)
        self.reap()

    def reap(self) -> None:
        """Collect every child that has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            ended = Exit(shell_status(status), time.time_ns())
            future = self._waiting.pop(pid, None)
            if future is not None:
                future.set(ended)
            elif self._expecting:
                self._unclaimed[pid] = ended


def shell_status(status: int) -> int:
    """A wait status as a shell tells it."""
    code = os.waitstatus_to_exitcode(status)
    return _SIGNAL_BASE - code if code < 0 else code
