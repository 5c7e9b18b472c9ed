"""What a daemon is known by."""

from __future__ import annotations

import os
import uuid

from wire.atomic import write_atomic


def lasting_id(path: str | os.PathLike[str]) -> str:
    """The id that a file holds, made at a daemon's first start."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        fresh = str(uuid.uuid4())
        write_atomic(path, fresh.encode())
        return fresh
