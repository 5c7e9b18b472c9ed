"""The bytes of a transfer beside gRPC: a FIFO that our own containerd opens as well; another one never hears of it."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from typing import Final

from wire.pipes import FROM_CLIENT, TO_CLIENT

_SIZE: Final = 1 << 20


class Pipe:
    """Our end of a FIFO that is gone from its folder once containerd has it."""

    def __init__(self, folder: str, *, writes: bool) -> None:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.path = os.path.join(folder, os.urandom(8).hex())
        self._writes = writes
        os.mkfifo(self.path, 0o600)
        # Both ends, so that neither this nor the other open waits or fails.
        self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, _SIZE)

    @property
    def header(self) -> tuple[str, bytes]:
        """What containerd is told."""
        return (FROM_CLIENT if self._writes else TO_CLIENT), os.fsencode(self.path)

    def settle(self) -> None:
        """containerd has opened its end: keep only ours, so that the end of either is seen."""
        way = os.O_WRONLY if self._writes else os.O_RDONLY
        descriptor = os.open(self.path, way | os.O_NONBLOCK | os.O_CLOEXEC)
        os.close(self._fd)
        self._fd = descriptor
        os.unlink(self.path)

    async def feed(self, chunks: AsyncIterator[bytes]) -> None:
        """Write all of it, and close; also if containerd wants no more."""
        try:
            async for chunk in chunks:
                view = memoryview(chunk)
                while view:
                    try:
                        view = view[os.write(self._fd, view) :]
                    except BlockingIOError:
                        loop = asyncio.get_running_loop()
                        await _event(self._fd, loop.add_writer, loop.remove_writer)
        except BrokenPipeError:
            return
        finally:
            self.close()

    async def chunks(self) -> AsyncIterator[bytes]:
        """What containerd writes, to its end."""
        while True:
            try:
                data = os.read(self._fd, _SIZE)
            except BlockingIOError:
                loop = asyncio.get_running_loop()
                await _event(self._fd, loop.add_reader, loop.remove_reader)
                continue
            if not data:
                return
            yield data

    def close(self) -> None:
        """Let it go."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


async def _event(
    descriptor: int,
    add: Callable[[int, Callable[[], None]], None],
    remove: Callable[[int], bool],
) -> None:
    happened = asyncio.Event()
    add(descriptor, happened.set)
    try:
        await happened.wait()
    finally:
        remove(descriptor)
