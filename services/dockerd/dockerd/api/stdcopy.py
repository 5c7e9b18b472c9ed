"""Two streams on one connection: a header of eight bytes before each piece."""

from __future__ import annotations

import struct
from typing import Final

_NUMBERS: Final = {"stdin": 0, "stdout": 1, "stderr": 2}


def frame(stream: str, text: bytes) -> bytes:
    """A piece of ``stdout`` or ``stderr`` with its header."""
    return struct.pack(">BxxxI", _NUMBERS[stream], len(text)) + text
