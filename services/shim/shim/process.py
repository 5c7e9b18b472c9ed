"""One process, the container's own or an exec: its state machine, streams and durable exit record."""

from __future__ import annotations

import contextlib
import json
import os

from shim import log
from shim.exits import Exit
from shim.loop import Future
from wire.atomic import write_atomic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from shim.stdio.streams import Streams


class Phase:
    """Where a process is in its life. Plain words: an enum would cost every container memory."""

    ADDED: Final = "added"
    CREATED: Final = "created"
    RUNNING: Final = "running"
    STOPPED: Final = "stopped"


class Process:
    """What is known about one process; ``exec_id`` is empty for the container's own, ``phase`` is one of ``Phase``."""

    __slots__ = (
        "announced", "bundle", "exec_id", "exit", "exited", "oom_killed", "phase", "pid", "spec",
        "started", "stderr", "stdin", "stdout", "streams", "terminal",
    )  # fmt: skip

    def __init__(
        self,
        *,
        exec_id: str,
        bundle: str,
        terminal: bool,
        stdin: str,
        stdout: str,
        stderr: str,
        streams: Streams,
    ) -> None:
        self.exec_id = exec_id
        self.bundle = bundle
        self.terminal = terminal
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.streams = streams
        self.spec = b""
        self.pid = 0
        # When it was started, in clock ticks since boot: tells it from a later process of the same pid.
        self.started = 0
        self.phase: str = Phase.ADDED
        self.exit: Exit | None = None
        self.oom_killed = False
        # Complete once the world has heard of its beginning; its end is not told before.
        self.announced: Future[None] = Future()
        self.exited: Future[Exit] = Future()

    @property
    def living(self) -> bool:
        """Whether there is a process."""
        return self.pid > 0 and self.phase in {Phase.CREATED, Phase.RUNNING}

    @property
    def record_path(self) -> str:
        """Where its exit is recorded."""
        name = f"exec-{self.exec_id}.exit.json" if self.exec_id else "exit.json"
        return f"{self.bundle}/{name}"

    def record_exit(self, ended: Exit) -> None:
        """Write the exit durably, before anybody hears of it.

        An exec's is there after the death of every process, but not after that of the machine, which no asker outlives.
        """
        self.exit = ended
        document = {
            "pid": self.pid,
            "exit_status": ended.status,
            "exited_at_ns": ended.at,
            "oom_killed": self.oom_killed,
        }
        try:
            write_atomic(self.record_path, json.dumps(document).encode(), durable=not self.exec_id)
        except FileNotFoundError:
            # The bundle is gone already (a forced delete): there is nobody to tell.
            return
        except OSError:
            # A full disk: it is told as long as this shim lives.
            log.exception("exit record failed", path=self.record_path)

    def recorded_exit(self) -> Exit | None:
        """What an earlier shim recorded."""
        try:
            with open(self.record_path, "rb") as file:
                document = json.load(file)
            return Exit(int(document["exit_status"]), int(document["exited_at_ns"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def forget_record(self) -> None:
        """The exit was acknowledged by a delete."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.record_path)
