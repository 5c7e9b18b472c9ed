"""An answer's head leaves together with what follows at once: one system call, and a client that wakes up once."""

from __future__ import annotations

import asyncio


class Cork:
    """Where one answer is written to: uvicorn's end of the connection, which writes heads by themselves.

    The first write is held until the second, or until the loop has gone round: the head of a stream waits for nobody.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._first = True
        self._held = b""

    def write(self, data: bytes) -> None:
        """Send, or hold for a moment."""
        if self._first:
            self._first = False
            self._held = data
            self._loop.call_soon(self._release)
        elif self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        else:
            self._transport.write(data)

    def _release(self) -> None:
        if self._held and not self._transport.is_closing():
            self._transport.write(self._held)
        self._held = b""

    def is_closing(self) -> bool:
        """Whether it makes sense to write."""
        return self._transport.is_closing()

    def close(self) -> None:
        """After what was written."""
        self._release()
        self._transport.close()
