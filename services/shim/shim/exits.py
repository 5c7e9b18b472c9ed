"""Every child that ends is reaped here, and its status reaches whoever waits for it, also if nobody does yet.

A container's process can end before the runtime has told us its pid: statuses without an owner are kept until the
pid is claimed, or until no runtime call is under way any more.
"""

from __future__ import annotations

import os
import signal
import socket
import time

from shim.loop import READ, Future

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from shim.loop import Loop

_SIGNAL_BASE: Final = 128


class Exit:
    """How a process ended, in a shell's terms (128 and the signal), and when (nanoseconds since 1970)."""

    __slots__ = ("at", "status")

    def __init__(self, status: int, at: int) -> None:
        self.status = status
        self.at = at


class Exits:
    """The table of waiters. The shim is a subreaper: orphans of the container arrive here, too."""

    def __init__(self, loop: Loop) -> None:
        self._waiting: dict[int, Future[Exit]] = {}
        self._unclaimed: dict[int, Exit] = {}
        self._expecting = 0
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        self._ends = (reader, writer)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        loop.watch(reader.fileno(), READ, self._woken)

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

    def close(self) -> None:
        """Stop listening for the ends of children."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for end in self._ends:
            end.close()

    def _woken(self, _events: int) -> None:
        self._ends[0].recv(4096)
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
            code = os.waitstatus_to_exitcode(status)
            ended = Exit(_SIGNAL_BASE - code if code < 0 else code, time.time_ns())
            future = self._waiting.pop(pid, None)
            if future is not None:
                future.set(ended)
            elif self._expecting:
                self._unclaimed[pid] = ended
