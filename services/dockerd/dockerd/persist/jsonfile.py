"""One JSON document in one file: a reader, or a crash, sees the old document or the new one."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from wire.atomic import write_atomic

logger = logging.getLogger(__name__)


def save_json(path: str, document: Any, *, durable: bool = True) -> None:
    """Replace the file. ``durable`` False survives the daemon's death, not the machine's: no fsync.

    Blocks; call it through ``asyncio.to_thread`` when durable.
    """
    data = json.dumps(document, separators=(",", ":")).encode()
    if durable:
        write_atomic(path, data)
        return
    temporary = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)


def load_json(path: str) -> dict[str, Any] | None:
    """The document, or None if there is no file or it is damaged (which is logged)."""
    try:
        data = Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        logger.warning("record unreadable", extra={"path": path, "error": str(error)})
        return None
    if not isinstance(document, dict):
        logger.warning("record is not an object", extra={"path": path})
        return None
    return document
