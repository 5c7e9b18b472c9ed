"""`docker wait`: futures inside, and answers on the bare connection, so that the next daemon can finish what this one began."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Collection, Coroutine
from typing import Any, Final

from dockerd.background import Background
from dockerd.containers.errors import InvalidCondition
from dockerd.containers.model import Container
from dockerd.containers.state import NEVER
from dockerd.containers.store import ContainerStore
from dockerd.containers.tombstones import Tombstones
from dockerd.fdstore import FdStore
from dockerd.linux.sockets import has_answer
from wire.errors import EngineError

PREFIX: Final = "wait-"
_CHUNK: Final = 4096
_NOT_RUNNING: Final = "not-running"
_NEXT_EXIT: Final = "next-exit"
_REMOVED: Final = "removed"
_CONDITIONS: Final = frozenset({_NOT_RUNNING, _NEXT_EXIT, _REMOVED})


def condition_of(text: str) -> str:
    """The condition that a client named; raises InvalidCondition."""
    if text and text not in _CONDITIONS:
        raise InvalidCondition(text)
    return text or _NOT_RUNNING


async def until(container: Container, condition: str = _NOT_RUNNING) -> int:
    """The exit code, once the condition holds."""
    state = container.state
    if condition == _NOT_RUNNING and not container.running and not state.restarting:
        return state.exit_code
    waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    container.waiters.setdefault(condition, []).append(waiter)
    return await waiter


def finish_ended(container: Container) -> None:
    """Wake who waits for the end of its process."""
    for condition in (_NEXT_EXIT, _NOT_RUNNING):
        _wake(container, condition)


def finish_removed(container: Container) -> None:
    """Wake everybody: it is gone."""
    for condition in tuple(container.waiters):
        _wake(container, condition)


def _wake(container: Container, condition: str) -> None:
    for waiter in container.waiters.pop(condition, []):
        if not waiter.done():
            waiter.set_result(container.state.exit_code)


class Waits:
    """Each wait holds a descriptor of its client's connection, and leaves a copy with the supervisor."""

    def __init__(self, store: ContainerStore, kept: FdStore, tombstones: Tombstones) -> None:
        self._store = store
        self._tombstones = tombstones
        self._kept = kept
        self._background = Background()
        self._count = 0

    def name(self, container_id: str, condition: str) -> str:
        """The name of a new wait, which tells all about it."""
        self._count += 1
        return f"{PREFIX}{container_id}.{condition}.{self._ends(container_id)}.{os.getpid()}x{self._count}"

    def keep(self, name: str, descriptor: int) -> None:
        """A wait begins: from here on it outlives this process."""
        self._kept.keep(name, descriptor)

    def begin(self, name: str, descriptor: int) -> None:
        """The head of the answer is sent; the rest follows when the condition holds."""
        container_id, condition, *_ = name.removeprefix(PREFIX).split(".")
        self._background.begin(self._finish(container_id, condition, descriptor, name))

    def resume_all(self, given: Collection[tuple[str, int]]) -> None:
        """The waits of the daemon before us: names and descriptors."""
        waits = [each for each in given if each[0].startswith(PREFIX)]
        self._tombstones.keep({name.removeprefix(PREFIX).partition(".")[0] for name, _ in waits})
        for name, descriptor in waits:
            if has_answer(descriptor):
                self._resume(name, descriptor)
            else:
                # Nobody was told that it waits.
                self._kept.drop(name)
                os.close(descriptor)

    def _resume(self, name: str, descriptor: int) -> None:
        container_id, condition, before, _ = name.removeprefix(PREFIX).split(".")
        container = self._store.find(container_id)
        if (
            container is not None
            and condition == _NEXT_EXIT
            and not container.running
            and self._ends(container_id) != before
        ):
            # It ended, which was written down, and then the daemon died before it could answer.
            condition = _NOT_RUNNING
        self._background.begin(self._finish(container_id, condition, descriptor, name))

    def _ends(self, container_id: str) -> str:
        """A mark that changes with each end of a container, of characters that descriptor names may have."""
        container = self._store.find(container_id)
        finished = NEVER if container is None else container.state.finished_at
        return "".join(letter for letter in finished if letter.isdigit())

    async def _finish(self, container_id: str, condition: str, descriptor: int, name: str) -> None:
        try:
            answer: dict[str, Any]
            container = self._store.find(container_id)
            try:
                if container is not None:
                    code = await _or_gone(until(container, condition), descriptor)
                    if code is None:
                        self._kept.drop(name)
                        return
                    answer = {"StatusCode": code}
                else:
                    # It was removed while nobody looked: that is what was waited for.
                    answer = {"StatusCode": self._tombstones.get(container_id)}
            except EngineError as error:
                answer = {"StatusCode": -1, "Error": {"Message": error.message}}
            body = json.dumps(answer).encode() + b"\n"
            with contextlib.suppress(OSError):
                os.write(descriptor, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            self._kept.drop(name)
            if self._store.find(container_id) is None:
                self._tombstones.drop(container_id)
        finally:
            os.close(descriptor)

    async def close(self) -> None:
        """Stop waiting; the copies with the supervisor keep the clients waiting."""
        await self._background.close()


async def _or_gone(waiting: Coroutine[Any, Any, int], descriptor: int) -> int | None:
    """What ``waiting`` finds; None if the client has left before."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(waiting)
    gone = False

    def readable() -> None:
        # A client that waits sends nothing more, but its end.
        nonlocal gone
        with contextlib.suppress(BlockingIOError):
            try:
                gone = not os.read(descriptor, _CHUNK)
            except ConnectionError:
                gone = True
        if gone:
            loop.remove_reader(descriptor)
            task.cancel()

    loop.add_reader(descriptor, readable)
    try:
        return await task
    except asyncio.CancelledError:
        if gone:
            return None
        raise
    finally:
        loop.remove_reader(descriptor)
        task.cancel()
