"""Signals as users write them."""

from __future__ import annotations

import contextlib
import re
import signal
from typing import Any, Final

from dockerd.containers.errors import InvalidSignal
from dockerd.fields import is_number

_LAST: Final = 64
_RTMIN: Final = 34
_REAL_TIME: Final = re.compile(r"SIGRT(MIN|MAX)(?:([+-])(\d+))?")


def number_of(text: str) -> int:
    """``TERM``, ``SIGTERM``, ``RTMIN+3`` or ``15``; raises InvalidSignal."""
    if is_number(text):
        number = int(text)
        if 1 <= number <= _LAST:
            return number
        raise InvalidSignal(text)
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    if found := _REAL_TIME.fullmatch(name):
        base = _RTMIN if found[1] == "MIN" else _LAST
        number = base + int(f"{found[2] or '+'}{found[3] or 0}")
        if _RTMIN <= number <= _LAST:
            return number
    with contextlib.suppress(KeyError):
        return int(signal.Signals[name])
    raise InvalidSignal(text)


def stop_signal(config: dict[str, Any]) -> int:
    """The signal that asks a container to end."""
    text = config.get("StopSignal")
    return number_of(text) if text else int(signal.SIGTERM)
