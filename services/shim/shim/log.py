"""The shim's log: JSON lines on standard error, in the format of ``wire.telemetry``.

Not the logging module: with the threading module that it brings it would cost each container half a megabyte.
"""

from __future__ import annotations

import json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def warning(message: str, **fields: Any) -> None:
    """Something is degraded but served."""
    _write("warning", message, fields)


def error(message: str, **fields: Any) -> None:
    """Something that somebody must look at."""
    _write("error", message, fields)


def exception(message: str, **fields: Any) -> None:
    """``error`` with the traceback of the exception being handled."""
    import traceback

    _write("error", message, {**fields, "error": traceback.format_exc()})


def _write(level: str, message: str, fields: dict[str, Any]) -> None:
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    line = {
        "time": f"{moment}.{nanoseconds // 1000:06d}+00:00",
        "level": level,
        "service": "shim",
        "msg": message,
        **fields,
    }
    os.write(2, json.dumps(line, default=str).encode() + b"\n")
