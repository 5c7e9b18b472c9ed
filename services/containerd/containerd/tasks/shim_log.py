"""What a shim of others logs: it writes into a FIFO of its bundle, which somebody has to empty."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from typing import Final

logger = logging.getLogger(__name__)

_NAME: Final = "log"
_CHUNK: Final = 1 << 16


def has_log(bundle: str) -> bool:
    """Whether the shim of this bundle logs into a FIFO."""
    return os.path.exists(os.path.join(bundle, _NAME))


class ShimLog:
    """Passes the lines of one shim to our own log, at debug level, until it is closed."""

    def __init__(self, bundle: str) -> None:
        """Makes the FIFO if there is none: a shim refuses to start without it."""
        self._bundle = bundle
        path = os.path.join(bundle, _NAME)
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o700)
        # Open for writing, too: a shim that ends does not end the log.
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._rest = b""
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            *lines, rest = (self._rest + os.read(self._descriptor, _CHUNK)).split(b"\n")
            self._rest = rest[-_CHUNK:]
            for line in lines:
                logger.debug(
                    "shim log",
                    extra={"bundle": self._bundle, "line": line.decode(errors="replace")},
                )

    def close(self) -> None:
        """Stop reading."""
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
