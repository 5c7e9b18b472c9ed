"""The daemon's pid in a file, for who starts and stops it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from wire.atomic import write_atomic
from wire.errors import Conflict


@contextlib.contextmanager
def held(path: str) -> Iterator[None]:
    """There while the daemon runs; raises Conflict if the process in it runs, and is not this one."""
    other = _alive(path)
    if other and other != os.getpid():
        raise Conflict(
            f"process with PID {other} is still running: ensure docker is not running or delete {path}"
        )
    os.makedirs(os.path.dirname(path) or ".", mode=0o755, exist_ok=True)
    write_atomic(path, f"{os.getpid()}\n".encode(), 0o644)
    try:
        yield
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _alive(path: str) -> int:
    """The pid in the file, if such a process runs; else 0."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            pid = int(file.read(32))
    except (FileNotFoundError, ValueError):
        return 0
    return pid if pid > 0 and os.path.exists(f"/proc/{pid}") else 0
