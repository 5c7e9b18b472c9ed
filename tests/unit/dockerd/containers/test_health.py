"""Health: how results add up."""

from __future__ import annotations

import pytest

from dockerd.containers.health import Check, ProbeResult, judge
from dockerd.containers.model import moment
from dockerd.containers.state import HEALTHY, STARTING, UNHEALTHY, Health

_CHECK = Check(command=["x"], interval=1, timeout=1, start_period=10, start_interval=1, retries=2)


def result(code: int, at: float) -> ProbeResult:
    return ProbeResult(start=moment(at), end=moment(at), exit_code=code, output="")


@pytest.mark.parametrize(
    ("results", "status", "streak"),
    [
        ([], STARTING, 0),
        ([(0, 1)], HEALTHY, 0),
        ([(1, 1), (1, 2), (1, 3)], STARTING, 0),
        ([(1, 11)], STARTING, 1),
        ([(1, 11), (1, 12)], UNHEALTHY, 2),
        ([(0, 1), (1, 2)], HEALTHY, 1),
        ([(0, 1), (1, 2), (1, 3)], UNHEALTHY, 2),
        ([(0, 1), (-1, 2), (-1, 3), (0, 4)], HEALTHY, 0),
    ],
)
def test_results_add_up(results: list[tuple[int, int]], status: str, streak: int) -> None:
    health = Health()
    for code, at in results:
        judge(health, _CHECK, result(code, at), started_at=0)
    assert (health.status, health.failing_streak) == (status, streak)


def test_only_the_last_results_are_kept() -> None:
    health = Health()
    for number in range(9):
        judge(health, _CHECK, result(number, 1), started_at=0)
    assert [entry["ExitCode"] for entry in health.log] == [4, 5, 6, 7, 8]
