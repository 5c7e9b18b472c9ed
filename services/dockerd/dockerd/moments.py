"""Points in time as clients write them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Final

from wire.errors import InvalidArgument

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_SECONDS: Final = re.compile(r"[+-]?\d+(?:\.\d*)?", re.ASCII)
# Clients count in 64 bits of nanoseconds.
_LATEST: Final = float(1 << 63)
_FRACTION: Final = re.compile(r"(\.\d{6})\d+")


def duration(text: str) -> float | None:
    """A Go duration such as ``1h30m``, in seconds; None for anything else."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def moment(text: str | None) -> float | None:
    """Seconds since 1970 from ``123.456``, RFC 3339, or a duration before now; None for none. Raises InvalidArgument."""
    if not text:
        return None
    if _SECONDS.fullmatch(text):
        seconds = float(text)
        if abs(seconds) < _LATEST:
            return seconds
    ago = duration(text)
    if ago is not None:
        return time.time() - ago
    try:
        found = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidArgument(f'invalid value for time: "{text}"') from None
