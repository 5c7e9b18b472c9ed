"""Health checks with the real CLI."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.stack import Stack, wait_until

_FAST = ("--health-interval", "100ms", "--health-timeout", "2s")


def health(stack: Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.inspect(name)["State"]["Health"]
    return found


def test_health_follows_the_probe(stack: Stack) -> None:
    probe = ("--health-cmd", "test ! -e /sick && echo well", "--health-retries", "2")
    name = stack.docker("run", "-d", *_FAST, *probe, "busybox", "sleep", "99")
    assert health(stack, name)["Status"] in {"starting", "healthy"}
    wait_until(lambda: health(stack, name)["Status"] == "healthy")
    assert "(healthy)" in stack.docker("ps", "--format", "{{.Status}}")
    assert stack.docker("ps", "-q", "--no-trunc", "--filter", "health=healthy") == name
    assert stack.docker("ps", "-q", "--filter", "health=unhealthy") == ""
    stack.docker("exec", name, "touch", "/sick")
    wait_until(lambda: health(stack, name)["Status"] == "unhealthy")
    found = health(stack, name)
    assert found["FailingStreak"] >= 2
    assert len(found["Log"]) <= 5
    assert found["Log"][-1]["ExitCode"] == 1
    stack.docker("exec", name, "rm", "/sick")
    wait_until(lambda: health(stack, name)["Status"] == "healthy")
    assert health(stack, name)["Log"][-1]["Output"] == "well\n"


def test_slow_probe_is_cut_short(stack: Stack) -> None:
    words = ("--health-cmd", "echo begun; sleep 50", "--health-interval", "50ms")
    words += ("--health-timeout", "200ms", "--health-retries", "1")
    name = stack.docker("run", "-d", *words, "busybox", "sleep", "99")
    wait_until(lambda: health(stack, name)["Status"] == "unhealthy")
    first = health(stack, name)["Log"][0]
    assert first["ExitCode"] == -1
    assert first["Output"] == "Health check exceeded timeout (200ms): begun\n"


def test_failures_do_not_count_while_it_starts(stack: Stack) -> None:
    words = ("--health-cmd", "false", *_FAST, "--health-start-period", "1h")
    words += ("--health-start-interval", "50ms", "--health-retries", "1")
    name = stack.docker("run", "-d", *words, "busybox", "sleep", "99")
    wait_until(lambda: len(health(stack, name)["Log"]) >= 3)
    found = health(stack, name)
    assert (found["Status"], found["FailingStreak"]) == ("starting", 0)


def test_health_survives_a_restart_of_the_daemon(stack: Stack) -> None:
    words = ("--health-cmd", "test ! -e /sick", *_FAST, "--health-retries", "1")
    name = stack.docker("run", "-d", *words, "busybox", "sleep", "99")
    wait_until(lambda: health(stack, name)["Status"] == "healthy")
    stack.kill("dockerd")
    assert health(stack, name)["Status"] == "healthy"
    stack.docker("exec", name, "touch", "/sick")
    wait_until(lambda: health(stack, name)["Status"] == "unhealthy")


def test_no_healthcheck(stack: Stack) -> None:
    name = stack.docker("run", "-d", "--no-healthcheck", "busybox", "sleep", "99")
    assert "Health" not in stack.inspect(name)["State"]


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ({"Interval": 1}, "Interval in Healthcheck cannot be less than 1ms"),
        ({"Timeout": 1}, "Timeout in Healthcheck cannot be less than 1ms"),
        ({"StartPeriod": 1}, "StartPeriod in Healthcheck cannot be less than 1ms"),
        ({"Retries": -1}, "Retries in Healthcheck cannot be negative"),
        ({"Test": ["foo"]}, "Unknown healthcheck type 'foo' (expected 'CMD')"),
    ],
)
def test_bad_check_is_refused(stack: Stack, check: dict[str, Any], message: str) -> None:
    body = {"Image": "busybox", "Healthcheck": check}
    status, answer = stack.request("POST", "/containers/create", body)
    assert (status, answer["message"]) == (400, message)
