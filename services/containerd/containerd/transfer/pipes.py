"""A stream's bytes beside gRPC: a FIFO that a client on this machine made and named, read and written in threads.

A gRPC message of the bytes costs each side more than hashing them. How a client names its FIFO stands in ``wire.pipes``.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import stat
from typing import TYPE_CHECKING

from wire.errors import Cancelled, InvalidArgument

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class Pipe(io.RawIOBase):
    """One end of a FIFO. Reads and writes block their thread until ``cancel``, which makes them raise Cancelled."""

    def __init__(self, path: str, *, writes: bool) -> None:
        """Raises InvalidArgument if the path is no FIFO that the client holds open."""
        way = os.O_WRONLY if writes else os.O_RDONLY
        try:
            self._fd = os.open(path, way | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise InvalidArgument(f"pipe {path}: {error.strerror}: invalid argument") from error
        if not stat.S_ISFIFO(os.fstat(self._fd).st_mode):
            os.close(self._fd)
            raise InvalidArgument(f"pipe {path} is not a FIFO: invalid argument")
        self._cancelled = os.eventfd(0, os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT if writes else select.POLLIN)
        self._poll.register(self._cancelled, select.POLLIN)

    def readable(self) -> bool:
        """One end is; reading from the other fails."""
        return True

    def writable(self) -> bool:
        """One end is; writing to the other fails."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """What is there, at least one byte but at the end."""
        while True:
            with contextlib.suppress(BlockingIOError):
                return os.readv(self._fd, [buffer])
            self._wait()

    def write(self, data: ReadableBuffer, /) -> int:
        """At least a part; raises Cancelled if the client has left."""
        while True:
            try:
                return os.write(self._fd, data)
            except BlockingIOError:
                self._wait()
            except BrokenPipeError:
                raise Cancelled("the reader of the stream has left") from None

    def _wait(self) -> None:
        if any(descriptor == self._cancelled for descriptor, _ in self._poll.poll()):
            raise Cancelled("the transfer was given up")

    def cancel(self) -> None:
        """End what a thread waits for."""
        os.eventfd_write(self._cancelled, 1)

    def close(self) -> None:
        """Let it go; not while a thread is at work with it."""
        if not self.closed:
            os.close(self._fd)
            os.close(self._cancelled)
        super().close()
