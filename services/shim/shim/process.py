"""One process, the container's own or an exec: its state machine, streams and durable exit record."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from enum import StrEnum

from shim.exits import Exit
from shim.loop import Future
from shim.stdio.streams import Streams
from wire.atomic import write_atomic


class Phase(StrEnum):
    """Where a process is in its life."""

    ADDED = "added"
    CREATED = "created"
    RUNNING = "running"
    STOPPED = "stopped"


@dataclass(slots=True, kw_only=True, eq=False)
class Process:
    """What is known about one process; ``exec_id`` is empty for the container's own."""

    exec_id: str
    bundle: str
    terminal: bool
    stdin: str
    stdout: str
    stderr: str
    streams: Streams
    spec: bytes = b""
    pid: int = 0
    phase: Phase = Phase.ADDED
    exit: Exit | None = None
    oom_killed: bool = False
    exited: Future[Exit] = field(default_factory=Future)

    @property
    def record_path(self) -> str:
        """Where its exit is recorded."""
        name = f"exec-{self.exec_id}.exit.json" if self.exec_id else "exit.json"
        return f"{self.bundle}/{name}"

    def record_exit(self, ended: Exit) -> None:
        """Write the exit durably, before anybody hears of it."""
        self.exit = ended
        document = {
            "pid": self.pid,
            "exit_status": ended.status,
            "exited_at_ns": ended.at,
            "oom_killed": self.oom_killed,
        }
        # The bundle may be gone already (a forced delete): then there is nobody to tell.
        with contextlib.suppress(FileNotFoundError):
            write_atomic(self.record_path, json.dumps(document).encode())

    def forget_record(self) -> None:
        """The exit was acknowledged by a delete."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.record_path)
