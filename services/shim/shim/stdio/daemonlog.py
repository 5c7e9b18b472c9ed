"""What the drivers that send to a daemon have in common: a connection, and a copy on disk that `docker logs` can read."""

from __future__ import annotations

import time

from shim.stdio.lines import LineLog, Pieces
from shim.succession import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from shim.stdio.lines import Piece
    from shim.stdio.localfile import LocalFile
    from shim.stdio.remote import Remote


class DaemonLog(LineLog):
    """Sends each record; subclasses say how it looks."""

    def __init__(self, remote: Remote, cache: LocalFile | None) -> None:
        super().__init__()
        self._remote = remote
        self._cache = cache
        self._pieces = Pieces()

    @property
    def full(self) -> bool:  # type: ignore[override]
        """Whether the daemon is slow, and the container should wait."""
        return self._remote.full

    async def ready(self) -> None:
        """Connect for the first time; raises FailedPrecondition."""
        await self._remote.ready()

    def append(self, stream: str, records: list[bytes]) -> None:
        """Send records, and copy them."""
        now = time.time_ns()
        for record in records:
            piece = self._pieces.of(stream, record, now)
            message = self.message(stream, record.removesuffix(b"\n"), piece, now)
            if message:
                self._remote.put(message)
        self._remote.send()
        if self._cache is not None:
            self._cache.append(stream, records)

    def message(self, stream: str, line: bytes, piece: Piece | None, now: int) -> bytes:
        """One line as the daemon wants it; empty for what it does not want."""
        raise NotImplementedError

    def replay(self, send: Callable[[str, bytes], None]) -> None:
        """What the copy has."""
        if self._cache is not None:
            self._cache.replay(send)

    def held(self) -> dict[str, str]:
        """What waits for its line's end; raises Refusal while messages are under way."""
        if not self._remote.idle:
            raise Refusal
        if self._cache is not None:
            self._cache.held()
        return super().held()

    def take(self, held: dict[str, str], dropped: int) -> None:
        """Go on with what another process held."""
        super().take(held, dropped)
        self._remote.dropped = dropped

    def close(self) -> None:
        """Send what is left, and close."""
        self._remote.close()
        if self._cache is not None:
            self._cache.close()
