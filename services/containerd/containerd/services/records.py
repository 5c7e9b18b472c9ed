"""What the services of containers and images need of a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Records(Protocol):
    """Named records in the current namespace, as bytes."""

    async def create(self, name: str, data: bytes, *, hold: bool = False) -> None:
        """Raises AlreadyExists."""

    async def modify(
        self, name: str, change: Callable[[bytes], bytes], *, hold: bool = False
    ) -> bytes:
        """Replace a record by what ``change`` makes of it, at once; raises NotFound and what ``change`` raises."""

    async def put(self, name: str, data: bytes) -> None:
        """Add or replace."""

    async def get(self, name: str) -> bytes:
        """Raises NotFound."""

    async def list(self) -> list[bytes]:
        """All, by name."""

    async def delete(self, name: str, check: Callable[[bytes], None] = ...) -> None:
        """Raises NotFound and what ``check`` raises."""
