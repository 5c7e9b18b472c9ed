"""What must be known of an exec after the daemon's death: what it is, whether it was started, how it ended.

Below the exec root, because no exec outlives the machine; written without fsync for the same reason.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from typing import Any

logger = logging.getLogger(__name__)


class ExecRecords:
    """One small file for each exec."""

    def __init__(self, exec_root: str) -> None:
        self._directory = os.path.join(exec_root, "execs")
        os.makedirs(self._directory, mode=0o700, exist_ok=True)

    def write(self, exec_id: str, document: dict[str, Any]) -> None:
        """Replace the record; a failure is logged, because the exec itself must not suffer."""
        path = os.path.join(self._directory, exec_id)
        try:
            with open(f"{path}.new", "w", encoding="utf-8") as file:
                json.dump(document, file)
            os.rename(f"{path}.new", path)
        except OSError as error:
            logger.warning("exec record failed", extra={"exec": exec_id, "error": str(error)})

    def forget(self, exec_id: str) -> None:
        """The exec's container is gone."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self._directory, exec_id))

    def load(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every record; one that cannot be read is removed."""
        for exec_id in os.listdir(self._directory):
            path = os.path.join(self._directory, exec_id)
            try:
                with open(path, encoding="utf-8") as file:
                    document = json.load(file)
                if exec_id.endswith(".new") or not isinstance(document, dict):
                    raise ValueError("not a record")
                yield exec_id, document
            except (OSError, ValueError):
                with contextlib.suppress(OSError):
                    os.unlink(path)
