"""How much memory daemons take for what a test does."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.support.stack import Stack

_MEBI = 1 << 20


@contextlib.contextmanager
def little_memory(stack: Stack, *daemons: str) -> Iterator[None]:
    """Fail if a daemon needs 64 MiB more than before at any time."""
    before = {}
    for daemon in daemons or ("dockerd",):
        pid = stack.pid(daemon)
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        before[pid] = _memory(pid, "VmHWM")
    yield
    for pid, size in before.items():
        assert _memory(pid, "VmHWM") - size < 64 * _MEBI


def _memory(pid: int, key: str) -> int:
    (line,) = (
        line
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith(key)
    )
    return int(line.split()[1]) << 10
