"""What the services of containers and images need of a store."""

from __future__ import annotations

from typing import Protocol


class Records(Protocol):
    """Named records in the current namespace, as bytes."""

    async def create(self, name: str, data: bytes) -> None:
        """Raises AlreadyExists."""

    async def put(self, name: str, data: bytes) -> None:
        """Add or replace."""

    async def get(self, name: str) -> bytes:
        """Raises NotFound."""

    async def list(self) -> list[bytes]:
        """All, by name."""

    async def delete(self, name: str) -> None:
        """Raises NotFound."""
