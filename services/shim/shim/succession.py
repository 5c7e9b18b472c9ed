"""Two processes of one shim, one after the other: the worker creates and starts a container, the keeper watches over it.

CPython's reference counts dirty a page for each object that code touches, and what creates a container is most of a
shim's code. So the process that containerd knows as the shim, the keeper, forks a worker at its birth and sleeps. When
the container runs and nobody has asked for anything for a moment, the worker hands over what it holds (descriptors, with
a description) and ends; its pages are free again, and the container becomes the keeper's child, because the keeper is a
subreaper. If the worker dies otherwise, the keeper goes on as a new shim does after a killed one. If the keeper is
killed, the worker dies with it: there is one shim, whichever process serves.

The worker's epoll comes along. It still watches what was handed over, so the keeper sleeps on until that or a child's end
wakes it, and only then takes over: what an idle container costs is a process that has not run yet.
"""

from __future__ import annotations

import marshal
import os
import select
import socket

from shim import linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from shim.loop import Loop

# Seconds without a call after which a container is handed over. Short commands end before.
QUIET: Final = 0.25
_LIMIT: Final = 1 << 17
_MOST_DESCRIPTORS: Final = 64
_DONE: Final = b"done"


class Refusal(Exception):
    """Something is under way that cannot change hands now."""


class Worker:
    """The worker's side: hands over once ``describe`` finds everything at rest."""

    def __init__(
        self, loop: Loop, keeper: socket.socket, describe: Callable[[list[int]], dict[str, Any]]
    ) -> None:
        """``describe(descriptors)`` returns the description and adds the descriptors, or raises Refusal."""
        self._loop = loop
        self._keeper = keeper
        self._describe = describe
        self._calls = 0

    def touch(self) -> None:
        """A call was answered: the quiet begins anew."""
        self._calls += 1
        calls = self._calls
        self._loop.later(QUIET, lambda: self._quiet(calls))

    def _quiet(self, calls: int) -> None:
        if calls != self._calls:
            return
        descriptors: list[int] = []
        try:
            data = marshal.dumps(self._describe(descriptors))
        except Refusal:
            return
        if len(data) > _LIMIT or len(descriptors) >= _MOST_DESCRIPTORS:
            return
        try:
            socket.send_fds(self._keeper, [data], [self._loop.descriptor, *descriptors])
        except OSError:
            return
        os._exit(0)

    def end(self) -> None:
        """The shim was shut down: the keeper is to go, too."""
        self._keeper.send(_DONE)


def receive(worker: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The keeper's side: sleep until the worker's end. What it handed over, its epoll before the other descriptors; None if
    it died without a word.

    Raises SystemExit if the shim was shut down.
    """
    try:
        data, descriptors, _, _ = socket.recv_fds(
            worker, _LIMIT, _MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
        )
    except OSError:
        return None, []
    if data == _DONE:
        raise SystemExit(0)
    if not data:
        return None, []
    # Of a process that was forked from us: the same interpreter, and nobody else holds the other end.
    description: dict[str, Any] = marshal.loads(data)  # noqa: S302
    return description, descriptors


def rest(epoll: int) -> None:
    """Sleep until a descriptor is ready that the worker's epoll watches, or a child has ended. The child is not reaped."""
    awake, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    linux.hear_of_children(wake)
    # One that ended before we listened left no signal.
    if not linux.has_dead_child():
        poll = select.poll()
        poll.register(epoll, select.POLLIN)
        poll.register(awake, select.POLLIN)
        poll.poll()
    linux.hear_of_children(-1)
    os.close(awake)
    os.close(wake)
