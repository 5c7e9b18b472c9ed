"""Where output goes besides attached clients: the log, and FIFOs, files and pipes of the caller."""

from __future__ import annotations

import os
import stat

from shim.loop import WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from shim.loop import Loop
    from shim.stdio.lines import LineLog

    class Sink(Protocol):
        """Something that takes output."""

        def write(self, stream: str, data: bytes) -> None:
            """Take a chunk; buffers what it cannot pass on."""

        @property
        def full(self) -> bool:
            """Whether reading should stop for it."""

        def finish(self) -> None:
            """No more output comes."""


class LogSink:
    """The log; full if it goes to a daemon that is slow."""

    def __init__(self, log: LineLog) -> None:
        self._log = log

    @property
    def full(self) -> bool:
        """Whether the log's daemon has a backlog."""
        return self._log.full

    def write(self, stream: str, data: bytes) -> None:
        """Log a chunk."""
        self._log.write(stream, data)

    def finish(self) -> None:
        """Log what had no newline and close."""
        self._log.finish("stdout")
        self._log.finish("stderr")
        self._log.close()


class DescriptorSink:
    """A descriptor that takes one stream, or both if ``stream`` is empty. It is closed at the end."""

    def __init__(
        self, loop: Loop, descriptor: int, stream: str, *, resume: Callable[[], None]
    ) -> None:
        self._descriptor = descriptor
        self._loop = loop
        self._stream = stream
        self._buffer = bytearray()
        self._resume = resume
        self._finishing = False

    @property
    def descriptor(self) -> int:
        """It belongs to the sink."""
        return self._descriptor

    def replace(self, descriptor: int) -> None:
        """Go on with another descriptor of the same, which belongs to the sink from now on."""
        os.close(self._descriptor)
        self._descriptor = descriptor

    @property
    def full(self) -> bool:
        """Whether bytes wait for the reader."""
        return bool(self._buffer)

    def write(self, stream: str, data: bytes) -> None:
        """Write what goes, keep the rest."""
        if (self._stream and stream != self._stream) or self._descriptor < 0:
            return
        self._buffer += data
        self._flush(WRITE)

    def finish(self) -> None:
        """Close once everything is written."""
        self._finishing = True
        if not self._buffer:
            self._close()

    def _flush(self, _events: int) -> None:
        was_full = len(self._buffer)
        try:
            while self._buffer:
                del self._buffer[: os.write(self._descriptor, self._buffer)]
        except BlockingIOError:
            self._loop.watch(self._descriptor, WRITE, self._flush)
            return
        except OSError:
            # A full disk, a logger that has died: the container goes on without.
            self._buffer.clear()
        self._loop.forget(self._descriptor)
        if self._finishing:
            self._close()
        elif was_full:
            self._loop.soon(self._resume)

    def _close(self) -> None:
        if self._descriptor >= 0:
            self._loop.forget(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


def open_fifo(path: str) -> int:
    """A FIFO opened for both directions: it neither blocks without a reader nor breaks when one leaves for a while.

    Clients may name another file the same way, which is appended to, as containerd's shims do.
    """
    if stat.S_ISFIFO(os.stat(path).st_mode):
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)


def open_file(path: str) -> int:
    """A file to append to, made with its folders where it is missing."""
    os.makedirs(os.path.dirname(path) or "/", mode=0o755, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
