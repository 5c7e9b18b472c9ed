"""Who has which volumes mounted: one file for each holder, written before the mount and removed after the unmount.

The files are below the exec root, which a reboot empties, as it ends the mounts.
"""

from __future__ import annotations

import contextlib
import json
import os

from wire.atomic import write_atomic


class Ledger:
    """Holders and the names of their volumes; what a killed daemon wrote is found again."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._holders: dict[str, set[str]] = {}
        os.makedirs(directory, mode=0o700, exist_ok=True)
        for holder in os.listdir(directory):
            if holder.endswith(".tmp"):
                os.unlink(f"{directory}/{holder}")
                continue
            with (
                contextlib.suppress(OSError, ValueError, TypeError),
                open(f"{directory}/{holder}", encoding="utf-8") as file,
            ):
                self._holders[holder] = {str(name) for name in json.load(file)}

    def holders(self) -> list[str]:
        """All, sorted."""
        return sorted(self._holders)

    def volumes(self, holder: str) -> list[str]:
        """The names of what it holds, sorted."""
        return sorted(self._holders.get(holder, ()))

    def others(self, name: str, holder: str) -> bool:
        """Whether anybody else holds the volume."""
        return any(name in names for each, names in self._holders.items() if each != holder)

    def add(self, holder: str, name: str) -> None:
        """It is about to be mounted. The page cache is durable enough: a mount does not outlive it."""
        self._holders.setdefault(holder, set()).add(name)
        self._write(holder)

    def discard(self, holder: str, name: str) -> None:
        """It is not mounted for the holder any more; harmless when repeated."""
        names = self._holders.get(holder)
        if names is None:
            return
        names.discard(name)
        if names:
            self._write(holder)
            return
        del self._holders[holder]
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._directory}/{holder}")

    def _write(self, holder: str) -> None:
        document = json.dumps(self.volumes(holder)).encode()
        write_atomic(f"{self._directory}/{holder}", document, durable=False)
