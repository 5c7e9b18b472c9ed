"""Restart policies: whether a container starts again, and after which pause."""

from __future__ import annotations

from typing import Any, Final

from dockerd.containers.model import Container, seconds_of
from dockerd.containers.state import NEVER, Change
from wire.errors import InvalidArgument

_FIRST: Final = 0.1
_LONGEST: Final = 60.0
_STABLE: Final = 10.0
_NAMES: Final = frozenset({"", "no", "always", "unless-stopped", "on-failure"})


def validate(host: dict[str, Any]) -> None:
    """Raises InvalidArgument in Docker's words."""
    policy = host.get("RestartPolicy") or {}
    name = policy.get("Name") or ""
    most = policy.get("MaximumRetryCount") or 0
    if name not in _NAMES:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if most and name != "on-failure":
        suffix = " and cannot be negative" if most < 0 else ""
        raise InvalidArgument(
            f"invalid restart policy: maximum retry count can only be used with 'on-failure'{suffix}"
        )
    if most < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    if host.get("AutoRemove") and name not in {"", "no"}:
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")


def name_of(container: Container) -> str:
    """``no``, ``always``, ``unless-stopped`` or ``on-failure``."""
    return str((container.host.get("RestartPolicy") or {}).get("Name") or "no")


def restarts(container: Container, exit_code: int) -> bool:
    """Whether a container that has just ended starts again."""
    name = name_of(container)
    if container.manually_stopped or container.removing or name == "no":
        return False
    if name == "on-failure":
        most = (container.host.get("RestartPolicy") or {}).get("MaximumRetryCount") or 0
        return exit_code != 0 and (not most or container.restart_count < most)
    return True


def wanted_at_start(container: Container) -> bool:
    """Whether a container that does not run is started when the daemon starts."""
    name = name_of(container)
    if container.running or container.state.started_at == NEVER:
        return False
    if container.state.restarting or name == "always":
        return True
    return name == "unless-stopped" and not container.manually_stopped


def give_up(container: Container) -> bool:
    """Cancel the restart that is due; whether there was one."""
    if container.restarting is not None:
        container.restarting.cancel()
        container.restarting = None
    if container.state.restarting:
        container.state.change(Change.GIVE_UP)
        return True
    return False


class Backoff:
    """The pauses before restarts: twice as long each time, short again after a run of ten seconds."""

    def __init__(self) -> None:
        self._next: dict[str, float] = {}

    def next(self, container: Container, ended_at: float) -> float:
        """The seconds to wait now, for a container that ended at ``ended_at`` (seconds since 1970)."""
        delay = self._next.get(container.container_id, _FIRST)
        if ended_at - seconds_of(container.state.started_at) > _STABLE:
            delay = _FIRST
        self._next[container.container_id] = min(_LONGEST, delay * 2)
        return delay

    def forget(self, container: Container) -> None:
        """It is gone."""
        self._next.pop(container.container_id, None)
