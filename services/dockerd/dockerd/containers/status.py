"""``Up 3 minutes``, ``Exited (0) 2 hours ago``: how Docker says where a container stands."""

from __future__ import annotations

import time
from typing import Final

from dockerd.containers.model import seconds_of
from dockerd.containers.state import NEVER, STARTING, State, Status

_HEALTH: Final = {STARTING: "health: starting"}


def text_of(state: State) -> str:
    """The STATUS column of `docker ps`."""
    if state.alive:
        since = human_duration(time.time() - seconds_of(state.started_at))
        if state.paused:
            return f"Up {since} (Paused)"
        if state.health is None:
            return f"Up {since}"
        return f"Up {since} ({_HEALTH.get(state.health.status, state.health.status)})"
    if state.restarting:
        return f"Restarting ({state.exit_code}) {_ago(state)} ago"
    if state.status is Status.CREATED or state.finished_at == NEVER:
        return "Created" if state.started_at == NEVER else ""
    return f"Exited ({state.exit_code}) {_ago(state)} ago"


def _ago(state: State) -> str:
    return human_duration(time.time() - seconds_of(state.finished_at))


def human_duration(seconds: float) -> str:
    """Seconds in the rough words of docker."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"
