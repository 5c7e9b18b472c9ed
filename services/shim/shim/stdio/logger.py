"""Logging programs of `binary://` and `binary-v2://`: started by the shim, fed by two pipes.

The program has the container's standard output on descriptor 3, its standard error on 4, and tells on 5 that it is
ready: by closing it, or (version 2) by writing one byte first. It is given CONTAINER_ID and CONTAINER_NAMESPACE alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal

from shim.loop import READ, Future
from wire.errors import FailedPrecondition, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final

    from shim.loop import Loop

    Owner = tuple[str, str]

_FIRST: Final = 3
_READY_PATIENCE: Final = 10.0
# What containerd's own shim grants before it kills a logger whose input has ended.
_END_PATIENCE: Final = 12.0
_RESET_SIGNALS: Final = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD]


class Logger:
    """One logging program; ``owner`` is the container's id and namespace.

    ``outputs`` are the write ends for stdout and stderr, non-blocking; the sinks own them.
    """

    def __init__(
        self,
        loop: Loop,
        path: str,
        arguments: tuple[str, ...],
        owner: Owner,
        *,
        acknowledges: bool,
        reaped: Callable[[int], Future[Any]],
    ) -> None:
        self._loop = loop
        self._acknowledges = acknowledges
        self._path = path
        inner_out, out = os.pipe2(os.O_CLOEXEC)
        inner_err, err = os.pipe2(os.O_CLOEXEC)
        self._ready, inner_ready = os.pipe2(os.O_CLOEXEC)
        given = (inner_out, inner_err, inner_ready)
        # Lifted first, so that no target number overwrites a source that is still needed.
        lifted = [_lift(descriptor) for descriptor in given]
        actions: list[tuple[Any, ...]] = [
            (os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(_FIRST)
        ]
        actions += [
            (os.POSIX_SPAWN_DUP2, source, _FIRST + offset) for offset, source in enumerate(lifted)
        ]
        try:
            self.pid = os.posix_spawn(
                path,
                [path, *arguments],
                {"CONTAINER_ID": owner[0], "CONTAINER_NAMESPACE": owner[1]},
                file_actions=actions,
                setsigdef=_RESET_SIGNALS,
                setsigmask=[],
            )
        except OSError as error:
            for descriptor in (out, err, self._ready):
                os.close(descriptor)
            raise NotFound(
                f"failed to start binary process with cmdArgs {path}: {error.strerror}"
            ) from error
        finally:
            for descriptor in (*given, *lifted):
                os.close(descriptor)
        os.set_blocking(self._ready, False)
        for descriptor in (out, err):
            os.set_blocking(descriptor, False)
        self.outputs = (out, err)
        self.ended = reaped(self.pid)

    async def ready(self) -> None:
        """Wait until it says that it is ready; raises FailedPrecondition if it does not, or has died."""
        answer: Future[bytes] = Future()

        def readable(_events: int) -> None:
            with contextlib.suppress(BlockingIOError):
                answer.set(os.read(self._ready, 1))

        self._loop.watch(self._ready, READ, readable)
        self._loop.later(
            _READY_PATIENCE,
            lambda: answer.fail(FailedPrecondition(f"logger {self._path} does not get ready")),
        )
        try:
            first = await answer
        finally:
            self._loop.forget(self._ready)
            os.close(self._ready)
        if self._acknowledges and not first:
            raise FailedPrecondition(f"logger {self._path} ended before it was ready")

    def finish(self) -> None:
        """Its input has ended: it may write what it has, and is killed if it does not end."""
        self._loop.later(_END_PATIENCE, self.kill)

    def kill(self) -> None:
        """End it now."""
        if not self.ended.done:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def _lift(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 100)
