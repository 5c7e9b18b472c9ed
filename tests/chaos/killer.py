"""Kills daemons, forkservers and shims at moments that a seed decides."""

from __future__ import annotations

import contextlib
import http
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

from tests.chaos.load import parent_of
from tests.support.leaks import TASKS
from tests.support.stack import Stack

# How often a kill is followed by a time in which everything works.
_REST = 0.5
_KINDS = ("dockerd", "containerd", "both", "forkserver", "shim")


class Killer:
    """One victim after the other; ``sacrificed`` are the containers whose shims it may kill."""

    def __init__(self, stack: Stack, chance: random.Random, sacrificed: list[str]) -> None:
        self._stack = stack
        self._chance = chance
        self._sacrificed = sacrificed
        self.kills: Counter[str] = Counter()

    def kill(self) -> None:
        """One kill, and a pause: often too short for the victim to come back, sometimes long enough for work."""
        kind = self._chance.choice(_KINDS)
        for pid in self._victims(kind):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.kills[kind] += 1
        if self._chance.random() < _REST:
            self.rest()
        time.sleep(self._chance.choice((0.0, 0.05, 0.3, 0.8, 1.5)))

    def rest(self) -> None:
        """Until both daemons serve again: without it a slow machine would never get to do any work."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if self._stack.request("GET", "/images/json")[0] == http.HTTPStatus.OK:
                    return
            time.sleep(0.1)

    def _victims(self, kind: str) -> list[int]:
        with contextlib.suppress(OSError, ValueError):
            if kind == "both":
                return [self._stack.pid("dockerd"), self._stack.pid("containerd")]
            if kind == "forkserver":
                return self._forkservers(self._stack.pid("containerd"))
            if kind == "shim":
                bundle = f"{TASKS}/moby/{self._chance.choice(self._sacrificed)}"
                path = self._stack.root / "run/containerd" / bundle / "shim.pid"
                return [int(path.read_text())]
            return [self._stack.pid(kind)]
        return []

    @staticmethod
    def _forkservers(containerd: int) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and parent_of(int(entry.name)) == containerd:
                with contextlib.suppress(OSError):
                    if b"forkserver" in (entry / "cmdline").read_bytes():
                        found.append(int(entry.name))
        return found
