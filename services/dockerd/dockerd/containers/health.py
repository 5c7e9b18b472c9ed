"""Health checks: what is configured, how results add up to a state, and one task for each container that probes it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from dockerd.background import Background
from dockerd.containers.announce import Announcer
from dockerd.containers.model import Container, now, seconds_of
from dockerd.containers.state import HEALTHY, STARTING, UNHEALTHY, Health
from wire.errors import InvalidArgument

_SECOND: Final = 1_000_000_000
_SMALLEST: Final = 1_000_000
_DURATIONS: Final = ("Interval", "Timeout", "StartPeriod", "StartInterval")
_DEFAULT_RETRIES: Final = 3
_KEPT: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """How one probe ended; ``exit_code`` -1 if it was cut short, times in Docker's notation."""

    start: str
    end: str
    exit_code: int
    output: str


Probe = Callable[[Container, list[str], float], Awaitable[ProbeResult]]
"""Runs a command in a container for at most so many seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A container's health check; times in seconds."""

    command: list[str]
    interval: float
    timeout: float
    start_period: float
    start_interval: float
    retries: int


def validate(config: dict[str, Any]) -> None:
    """Raises InvalidArgument in Docker's words."""
    check = config.get("Healthcheck") or {}
    for name in _DURATIONS:
        value = check.get(name) or 0
        if not isinstance(value, int) or 0 != value < _SMALLEST:
            raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
    retries = check.get("Retries") or 0
    if not isinstance(retries, int) or retries < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")
    test = check.get("Test") or []
    if not isinstance(test, list) or not all(isinstance(word, str) for word in test):
        raise InvalidArgument("Test in Healthcheck must be a list of strings")
    if test and test[0] not in {"NONE", "CMD", "CMD-SHELL"}:
        raise InvalidArgument(f"Unknown healthcheck type '{test[0]}' (expected 'CMD')")


def check_of(container: Container) -> Check | None:
    """The check of a container; None if it has none."""
    config = container.config.get("Healthcheck") or {}
    test = config.get("Test") or ["NONE"]
    if test[0] == "NONE" or len(test) < 2:
        return None
    shell = container.config.get("Shell") or ["/bin/sh", "-c"]
    return Check(
        command=[*shell, *test[1:]] if test[0] == "CMD-SHELL" else list(test[1:]),
        interval=(config.get("Interval") or 30 * _SECOND) / _SECOND,
        timeout=(config.get("Timeout") or 30 * _SECOND) / _SECOND,
        start_period=(config.get("StartPeriod") or 0) / _SECOND,
        start_interval=(config.get("StartInterval") or 5 * _SECOND) / _SECOND,
        retries=config.get("Retries") or _DEFAULT_RETRIES,
    )


def judge(health: Health, check: Check, result: ProbeResult, started_at: float) -> bool:
    """Add a result; whether the status has changed. ``started_at`` is the container's start, in seconds since 1970."""
    before = health.status
    entry = {
        "Start": result.start,
        "End": result.end,
        "ExitCode": result.exit_code,
        "Output": result.output,
    }
    health.log = [*health.log, entry][-_KEPT:]
    if result.exit_code == 0:
        health.failing_streak, health.status = 0, HEALTHY
    elif health.status != STARTING or seconds_of(result.start) - started_at >= check.start_period:
        health.failing_streak += 1
        if health.failing_streak >= check.retries:
            health.status = UNHEALTHY
    return health.status != before


class HealthMonitor:
    """Probes running containers that have a check; ``made`` and ``failed`` count probes."""

    def __init__(self, probe: Probe, announcer: Announcer) -> None:
        self._probe = probe
        self._announcer = announcer
        self._background = Background()
        self._watching: dict[str, asyncio.Task[None]] = {}
        self.made = 0
        self.failed = 0

    def started(self, container: Container) -> None:
        """A container's process is new: its health begins anew."""
        container.state.health = Health() if check_of(container) is not None else None
        self.resume(container)

    def resume(self, container: Container) -> None:
        """Go on probing a running container: after a pause, or in a new daemon. Harmless when repeated."""
        check = check_of(container)
        if check is None or container.state.paused or container.container_id in self._watching:
            return
        if container.state.health is None:
            container.state.health = Health()
        task = self._background.spawn(self._watch(container, check))
        self._watching[container.container_id] = task

    def stop(self, container: Container) -> None:
        """Its process has ended, or is frozen."""
        task = self._watching.pop(container.container_id, None)
        if task is not None:
            task.cancel()

    async def _watch(self, container: Container, check: Check) -> None:
        health = container.state.health
        assert health is not None
        started = seconds_of(container.state.started_at)
        while True:
            await asyncio.sleep(_pause(health, check, started))
            result = await self._probe(container, check.command, check.timeout)
            self.made += 1
            self.failed += result.exit_code != 0
            if judge(health, check, result, started):
                container.save()
                self._announcer.say(container, f"health_status: {health.status}")

    async def close(self) -> None:
        """Stop probing; the next daemon goes on."""
        await self._background.close()


def _pause(health: Health, check: Check, started_at: float) -> float:
    early = seconds_of(now()) - started_at < check.start_period
    return check.start_interval if early and health.status == STARTING else check.interval
