"""Two streams on one connection: a header of eight bytes before each piece."""

from __future__ import annotations

from typing import Final

_NUMBERS: Final = {"stdin": 0, "stdout": 1, "stderr": 2}
_HEADS: Final = {name: bytes((number, 0, 0, 0)) for name, number in _NUMBERS.items()}


def joined(records: list[tuple[str, bytes]], *, framed: bool) -> bytes:
    """Many pieces at once, each with its header if ``framed``."""
    if not framed:
        return b"".join(text for _, text in records)
    parts: list[bytes] = []
    for stream, text in records:
        parts += (_HEADS[stream], len(text).to_bytes(4, "big"), text)
    return b"".join(parts)
