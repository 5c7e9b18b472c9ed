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

    def __init__(self, loop: Loop, groups: usage.Groups, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._groups = groups
        self._callback = callback
        self._seen = usage.oom_kills(groups)
        self._descriptors: list[int] = []
        self._closed = False
        # A kernel without the interface still tells at the end of the process, by the count.
        with contextlib.suppress(OSError):
            if groups.unified:
                self._watch_events()
            else:
                self._watch_eventfd()

    def _watch_events(self) -> None:
        descriptor = os.open(f"{self._groups.paths['']}/memory.events", os.O_RDONLY | os.O_CLOEXEC)
        self._descriptors.append(descriptor)
        os.read(descriptor, 4096)

        def changed(_events: int) -> None:
            # The next change is told only after a read.
            os.pread(descriptor, 4096, 0)
            self.check()

        self._loop.watch(descriptor, _CHANGED, changed)

    def _watch_eventfd(self) -> None:
        path = self._groups.paths.get("memory")
        if path is None:
            return
        control = os.open(f"{path}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
        self._descriptors.append(control)
        event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._descriptors.append(event)
        with open(f"{path}/cgroup.event_control", "w", encoding="ascii") as file:
            file.write(f"{event} {control}")

        def notified(_events: int) -> None:
            os.eventfd_read(event)
            # It tells of the shortage; the kill follows, and v1 tells nobody of that.
            self.check()
            for pause in _SECOND_LOOKS:
                self._loop.later(pause, self.check)

        self._loop.watch(event, READ, notified)

    def check(self) -> None:
        """Compare the count."""
        if self._closed:
            return
        kills = usage.oom_kills(self._groups)
        if kills > self._seen:
            self._seen = kills
            self._callback()

    def close(self) -> None:
        """Stop watching."""
        self._closed = True
        for descriptor in self._descriptors:
            self._loop.forget(descriptor)
            os.close(descriptor)
        self._descriptors.clear()
