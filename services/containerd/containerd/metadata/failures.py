"""What SQLite's errors mean."""

from __future__ import annotations

import sqlite3
from typing import Final

from wire.errors import DataLoss, EngineError, Internal, ResourceExhausted, Unavailable

_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
# The rest of a code says more about the same.
_PRIMARY: Final = 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error says that the file is not what SQLite wrote."""
    return _code(error) in _DAMAGED


def translate(path: str, error: sqlite3.Error) -> EngineError:
    """The error to raise: DataLoss only for damage; ResourceExhausted, Unavailable or Internal for what passes."""
    code = _code(error)
    if code in _DAMAGED:
        return DataLoss(f"{path} is damaged: {error}")
    if code == sqlite3.SQLITE_FULL:
        return ResourceExhausted(f"{path}: no space left on device")
    if code in _LOCKED:
        return Unavailable(f"{path} is locked by another process")
    return Internal(f"{path}: {error} ({getattr(error, 'sqlite_errorname', 'SQLite')})")


def _code(error: sqlite3.Error) -> int:
    # Errors that the module raises by itself have none.
    return getattr(error, "sqlite_errorcode", 0) & _PRIMARY
