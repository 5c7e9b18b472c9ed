"""The table of legal changes."""

from __future__ import annotations

import pytest

from dockerd.containers.state import TRANSITIONS, Change, Health, IllegalChange, State, Status


@pytest.mark.parametrize(("status", "change"), list(TRANSITIONS))
def test_legal_change(status: Status, change: Change) -> None:
    state = State(status=status)
    state.change(change)
    assert state.status is TRANSITIONS[status, change]


@pytest.mark.parametrize(
    ("status", "change"),
    [
        (status, change)
        for status in Status
        for change in Change
        if (status, change) not in TRANSITIONS
    ],
)
def test_illegal_change_is_refused(status: Status, change: Change) -> None:
    state = State(status=status)
    with pytest.raises(IllegalChange):
        state.change(change)
    assert state.status is status


def test_restarting_counts_as_running_in_inspect_only() -> None:
    state = State(status=Status.RESTARTING)
    assert not state.alive
    assert state.document()["Running"] is True


@pytest.mark.parametrize("health", [None, Health(status="healthy", failing_streak=1, log=[{}])])
def test_record_comes_back(health: Health | None) -> None:
    state = State(status=Status.EXITED, exit_code=3, error="x", oom_killed=True, health=health)
    assert State.parse(state.document()) == state
