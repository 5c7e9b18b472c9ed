"""Exit codes of removed containers that somebody still waits for: a daemon that dies before it answers leaves them to the next.

Below the exec root, because no wait outlives the machine; written without fsync for the same reason.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection


class Tombstones:
    """One small file for each."""

    def __init__(self, exec_root: str) -> None:
        self._directory = os.path.join(exec_root, "exits")
        os.makedirs(self._directory, mode=0o700, exist_ok=True)

    def put(self, container_id: str, exit_code: int) -> None:
        """Before the container's record goes."""
        path = os.path.join(self._directory, container_id)
        with open(f"{path}.new", "w", encoding="ascii") as file:
            file.write(str(exit_code))
        os.rename(f"{path}.new", path)

    def get(self, container_id: str) -> int:
        """The exit code; 0 for a container that nobody knows."""
        try:
            with open(os.path.join(self._directory, container_id), encoding="ascii") as file:
                return int(file.read())
        except (OSError, ValueError):
            return 0

    def drop(self, container_id: str) -> None:
        """Everybody has been told."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._directory, container_id))

    def keep(self, awaited: Collection[str]) -> None:
        """Drop all but those of containers that are still waited for."""
        for name in os.listdir(self._directory):
            if name not in awaited:
                self.drop(name)
