"""What a container may go through: its statuses, and the one table of legal changes between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

NEVER: Final = "0001-01-01T00:00:00Z"


class Status(StrEnum):
    """Docker's words for where a container stands."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"


class Change(StrEnum):
    """What happens to a container."""

    START = "start"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    END = "end"
    """Its process has ended, for good."""
    BACK_OFF = "back-off"
    """Its process has ended, and the restart policy will start it again."""
    GIVE_UP = "give-up"
    """The restart that was due will not happen."""
    FAIL = "fail"
    """A start has failed."""


_ALIVE: Final = (Status.RUNNING, Status.PAUSED)
_STILL: Final = (Status.CREATED, Status.EXITED, Status.RESTARTING)
TRANSITIONS: Final[dict[tuple[Status, Change], Status]] = {
    **{(status, Change.START): Status.RUNNING for status in _STILL},
    (Status.RUNNING, Change.PAUSE): Status.PAUSED,
    (Status.PAUSED, Change.UNPAUSE): Status.RUNNING,
    **{(status, Change.END): Status.EXITED for status in _ALIVE},
    **{(status, Change.BACK_OFF): Status.RESTARTING for status in (*_ALIVE, Status.EXITED)},
    (Status.RESTARTING, Change.GIVE_UP): Status.EXITED,
    (Status.CREATED, Change.FAIL): Status.CREATED,
    (Status.EXITED, Change.FAIL): Status.EXITED,
    (Status.RESTARTING, Change.FAIL): Status.EXITED,
}


class IllegalChange(RuntimeError):
    """A change that the table does not have: an error of ours, never of a client."""

    def __init__(self, status: Status, change: Change) -> None:
        super().__init__(f"a container that is {status} cannot {change}")


STARTING: Final = "starting"
HEALTHY: Final = "healthy"
UNHEALTHY: Final = "unhealthy"
NO_CHECK: Final = "none"


@dataclass(slots=True, kw_only=True)
class Health:
    """What the probes of a container have found; ``log`` has the last results in Docker's JSON."""

    status: str = STARTING
    failing_streak: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As ``inspect`` shows it."""
        return {"Status": self.status, "FailingStreak": self.failing_streak, "Log": self.log}


@dataclass(slots=True, kw_only=True)
class State:
    """Where a container stands; times in Docker's notation."""

    status: Status = Status.CREATED
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at: str = NEVER
    finished_at: str = NEVER
    health: Health | None = None

    @property
    def health_status(self) -> str:
        """``none`` without a check."""
        return NO_CHECK if self.health is None else self.health.status

    @property
    def alive(self) -> bool:
        """Whether its process lives, paused or not."""
        return self.status in _ALIVE

    @property
    def paused(self) -> bool:
        """Whether its processes are frozen."""
        return self.status is Status.PAUSED

    @property
    def restarting(self) -> bool:
        """Whether the restart policy is about to start it."""
        return self.status is Status.RESTARTING

    def change(self, change: Change) -> None:
        """Go on to the status that the table has; raises IllegalChange."""
        following = TRANSITIONS.get((self.status, change))
        if following is None:
            raise IllegalChange(self.status, change)
        self.status = following

    def document(self) -> dict[str, Any]:
        """As ``inspect`` shows it. A container that is about to restart counts as running, as in Docker."""
        found: dict[str, Any] = {
            "Status": str(self.status),
            "Running": self.alive or self.restarting,
            "Paused": self.paused,
            "Restarting": self.restarting,
            "OOMKilled": self.oom_killed,
            "Dead": False,
            "Pid": self.pid,
            "ExitCode": self.exit_code,
            "Error": self.error,
            "StartedAt": self.started_at,
            "FinishedAt": self.finished_at,
        }
        if self.health is not None:
            found["Health"] = self.health.document()
        return found

    @classmethod
    def parse(cls, document: dict[str, Any]) -> State:
        """From what ``document`` made; raises ValueError or KeyError for anything else."""
        health = document.get("Health")
        return cls(
            status=Status(document["Status"]),
            pid=int(document["Pid"]),
            exit_code=int(document["ExitCode"]),
            error=str(document["Error"]),
            oom_killed=bool(document["OOMKilled"]),
            started_at=str(document["StartedAt"]),
            finished_at=str(document["FinishedAt"]),
            health=None
            if health is None
            else Health(
                status=health["Status"], failing_streak=health["FailingStreak"], log=health["Log"]
            ),
        )
