"""One exec."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from dockerd.containers import handover
from dockerd.containers.model import Container


@dataclass(slots=True, kw_only=True)
class Exec:
    """One exec; ``exit_code`` is None until it has ended, ``config`` what the client asked for."""

    exec_id: str
    container: Container
    config: dict[str, Any]
    running: bool = False
    started: bool = False
    pid: int = 0
    exit_code: int | None = None
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def terminal(self) -> bool:
        """Whether it has a terminal."""
        return bool(self.config.get("Tty"))

    @property
    def streams(self) -> dict[str, Any]:
        """What its client is attached to, and how it detaches."""
        return {
            "stdin": bool(self.config.get("AttachStdin")),
            "stdout": bool(self.config.get("AttachStdout")),
            "stderr": bool(self.config.get("AttachStderr")),
            "detach_keys": handover.detach_keys(self.config.get("DetachKeys") or ""),
        }

    def document(self) -> dict[str, Any]:
        """GET /exec/{id}/json."""
        return {
            "ID": self.exec_id,
            "Running": self.running,
            "ExitCode": self.exit_code,
            "ProcessConfig": {
                "tty": self.terminal,
                "entrypoint": self.config["Cmd"][0],
                "arguments": self.config["Cmd"][1:],
                "privileged": bool(self.config.get("Privileged")),
                "user": self.config.get("User") or "",
            },
            "OpenStdin": bool(self.config.get("AttachStdin")),
            "OpenStderr": bool(self.config.get("AttachStderr")),
            "OpenStdout": bool(self.config.get("AttachStdout")),
            "CanRemove": not self.running,
            "ContainerID": self.container.container_id,
            "DetachKeys": self.config.get("DetachKeys") or "",
            "Pid": self.pid,
        }
