"""When garbage is collected, with a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from containerd.gc.scheduler import Rules, Scheduler


class _Clock(asyncio.SelectorEventLoop):
    """Time stands still, and goes on to the next timer when there is nothing else to do."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def time(self) -> float:
        return self.now


def run(rules: Rules, steps: Callable[[Scheduler, _Clock], Awaitable[None]]) -> list[float]:
    """When collections began, in seconds from the start."""
    loop = _Clock()
    begun: list[float] = []
    scheduler = Scheduler(rules, lambda: begun.append(round(loop.now - 1000, 6)))
    try:
        loop.run_until_complete(steps(scheduler, loop))
    finally:
        scheduler.close()
        loop.close()
    return begun


async def wait(loop: _Clock, seconds: float) -> None:
    """Let the time go on, timer by timer."""
    end = loop.now + seconds
    while True:
        due = [each.when() for each in loop._scheduled if not each.cancelled()]  # type: ignore[attr-defined]
        if not due or min(due) > end:
            break
        loop.now = max(loop.now, min(due))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    loop.now = end


def collect(scheduler: Scheduler, loop: _Clock, seconds: float) -> None:
    scheduler.collecting()
    loop.now += seconds
    scheduler.collected(seconds)


def test_after_the_start_and_then_only_when_something_was_deleted() -> None:
    async def steps(scheduler: Scheduler, loop: _Clock) -> None:
        scheduler.start()
        await wait(loop, 50)
        collect(scheduler, loop, 0)
        await wait(loop, 50)
        scheduler.deleted()
        scheduler.deleted()
        await wait(loop, 50)

    assert run(Rules(), steps) == [0.1, 100]


def test_no_collection_at_the_start() -> None:
    async def steps(scheduler: Scheduler, loop: _Clock) -> None:
        scheduler.start()
        await wait(loop, 50)

    assert run(Rules(startup_delay=0), steps) == []


@pytest.mark.parametrize(
    ("threshold", "seconds", "pause"),
    [(0.02, 0.1, 4.9), (0.02, 0.0, 0.245), (0.9, 1.0, 1.0), (0.0, 5.0, 1.0)],
)
def test_collections_take_no_more_than_their_part_of_the_time(
    threshold: float, seconds: float, pause: float
) -> None:
    async def steps(scheduler: Scheduler, loop: _Clock) -> None:
        collect(scheduler, loop, seconds)
        scheduler.deleted()
        await wait(loop, 100)

    assert run(Rules(pause_threshold=threshold), steps) == [pytest.approx(seconds + pause)]


def test_many_deletions_do_not_wait() -> None:
    async def steps(scheduler: Scheduler, loop: _Clock) -> None:
        collect(scheduler, loop, 1)
        for _ in range(3):
            scheduler.deleted()
        await wait(loop, 1)
        collect(scheduler, loop, 0)
        scheduler.deleted()
        await wait(loop, 1)

    assert run(Rules(deletion_threshold=3, schedule_delay=0.5), steps) == [1.5]


def test_many_changes_are_as_a_deletion() -> None:
    async def steps(scheduler: Scheduler, loop: _Clock) -> None:
        collect(scheduler, loop, 0)
        for _ in range(4):
            scheduler.mutated()
        await wait(loop, 10)
        scheduler.mutated()
        await wait(loop, 10)
        collect(scheduler, loop, 0)
        for _ in range(4):
            scheduler.mutated()
        await wait(loop, 10)

    assert run(Rules(mutation_threshold=5), steps) == [10]


def test_what_is_deleted_during_a_collection_is_for_the_next() -> None:
    async def steps(scheduler: Scheduler, loop: _Clock) -> None:
        scheduler.deleted()
        scheduler.collecting()
        scheduler.deleted()
        loop.now += 0.1
        scheduler.collected(0.1)
        await wait(loop, 100)

    assert run(Rules(pause_threshold=0.5), steps) == [pytest.approx(0.2)]


def test_deletions_in_a_row_on_the_daemons_own_loop() -> None:
    """uvloop's handle of what is due at once has no time; the second deletion asked for it."""
    begun = []

    async def steps() -> None:
        scheduler = Scheduler(Rules(), lambda: begun.append(True))
        for _ in range(3):
            scheduler.deleted()
        await asyncio.sleep(0.01)
        scheduler.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(steps())
    assert begun == [True]
