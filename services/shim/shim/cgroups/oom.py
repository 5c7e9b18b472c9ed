"""Hears of memory kills when they happen: the kernel's notification on v1, the pollable memory.events on v2."""

from __future__ import annotations

import contextlib
import os
import select

from shim.cgroups import usage
from shim.loop import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from shim.loop import Loop

_CHANGED: Final = select.EPOLLPRI
_SECOND_LOOKS: Final = (0.02, 0.1, 0.5)


class OomWatch:
    """Calls back once for each time that the kernel's count of kills in the container has grown."""

    def __init__(
        self,
        loop: Loop,
        groups: usage.Groups,
        callback: Callable[[], None],
        handed: tuple[int, list[int]] | None = None,
    ) -> None:
        """``handed`` is what another process has seen and watched; None to begin."""
        self._loop = loop
        self._groups = groups
        self._callback = callback
        self._closed = False
        self.descriptors: list[int] = []
        if handed is not None:
            self.seen, self.descriptors = handed
            self._watch()
            return
        self.seen = usage.oom_kills(groups)
        # A kernel without the interface still tells at the end of the process, by the count.
        with contextlib.suppress(OSError):
            self._open()
            self._watch()

    def _open(self) -> None:
        if self._groups.unified:
            path = f"{self._groups.paths['']}/memory.events"
            self.descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            os.read(self.descriptors[0], 4096)
            return
        directory = self._groups.paths.get("memory")
        if directory is None:
            return
        path = f"{directory}/memory.oom_control"
        self.descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        self.descriptors.append(os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK))
        with open(f"{directory}/cgroup.event_control", "w", encoding="ascii") as file:
            file.write(f"{self.descriptors[1]} {self.descriptors[0]}")

    def _watch(self) -> None:
        if not self.descriptors:
            return
        if self._groups.unified:
            self._loop.watch(self.descriptors[0], _CHANGED, self._changed)
        else:
            self._loop.watch(self.descriptors[1], READ, self._notified)

    def _changed(self, _events: int) -> None:
        # The next change is told only after a read.
        os.pread(self.descriptors[0], 4096, 0)
        self.check()

    def _notified(self, _events: int) -> None:
        os.eventfd_read(self.descriptors[1])
        # It tells of the shortage; the kill follows, and v1 tells nobody of that.
        self.check()
        for pause in _SECOND_LOOKS:
            self._loop.later(pause, self.check)

    def check(self) -> None:
        """Compare the count."""
        if self._closed:
            return
        kills = usage.oom_kills(self._groups)
        if kills > self.seen:
            self.seen = kills
            self._callback()

    def close(self) -> None:
        """Stop watching."""
        self._closed = True
        for descriptor in self.descriptors:
            self._loop.forget(descriptor)
            os.close(descriptor)
        self.descriptors.clear()
