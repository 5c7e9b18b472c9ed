"""`kill -9` of each daemon during each activity: the container does not notice, and everything works afterwards."""

from __future__ import annotations

import pytest
from tests.restart import activities, victims
from tests.support import leaks
from tests.support.stack import Stack, wait_until

ACTIVITIES = (
    activities.idle,
    activities.noisy,
    activities.attached,
    activities.executing,
    activities.serving,
    activities.ending,
)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", victims.KINDS)
@pytest.mark.parametrize("activity", ACTIVITIES, ids=lambda activity: activity.__name__)
def test_survives(stack: Stack, activity: activities.Activity, kind: str) -> None:
    kernel = leaks.Kernel(stack.root)
    with activity(stack) as name:
        killed = victims.kill(stack, kind)
        if activity is not activities.ending:
            wait_until(lambda: victims.back(stack, killed))
    _everything_works(stack, name)
    stack.remove_all()
    assert {**kernel.idle(), **leaks.stored(stack.root)} == {}


def _everything_works(stack: Stack, name: str) -> None:
    """With the container that lived through it, and with a new one."""
    container = stack.inspect(name)["Id"]
    assert container in stack.docker("ps", "-q", "--no-trunc").split()
    assert stack.docker("exec", name, "sh", "-c", "echo there; exit 0") == "there"
    assert stack.call("exec", name, "sh", "-c", "exit 7").code == 7
    stack.docker("logs", name)
    assert stack.docker("run", "--rm", "busybox", "echo", "another") == "another"
    stack.docker("stop", "-t", "0", name)
    state = stack.inspect(name)["State"]
    assert (state["Status"], state["Pid"]) == ("exited", 0)
    assert container not in stack.docker("ps", "-q", "--no-trunc").split()
