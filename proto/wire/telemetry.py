"""Logs: one line format, fields bound to the current task, and the trace that it belongs to.

Standard library only, because the shim imports it too. On a terminal a line is logfmt, else JSON.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from wire import tracing

_fields: ContextVar[Mapping[str, Any]] = ContextVar("log_fields", default=MappingProxyType({}))

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@contextmanager
def bind(**fields: Any) -> Iterator[None]:
    """Add fields to every line logged in the block (and in tasks started there)."""
    token = _fields.set({**_fields.get(), **fields})
    try:
        yield
    finally:
        _fields.reset(token)


class _Formatter(logging.Formatter):
    def __init__(self, service: str, *, as_json: bool) -> None:
        super().__init__()
        self._service = service
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "msg": record.getMessage(),
        }
        line.update(_fields.get())
        trace = tracing.trace_id()
        if trace:
            line["trace_id"] = trace
        for key, value in vars(record).items():
            if key not in _STANDARD:
                line[key] = value
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        if self._as_json:
            return json.dumps(line, default=str)
        return " ".join(f"{key}={_logfmt(value)}" for key, value in line.items())


def _logfmt(value: Any) -> str:
    text = str(value)
    return json.dumps(text) if not text or re.search(r'[\s="]', text) else text


def configure(service: str, level: str = "info", style: str = "") -> None:
    """Send the process's log to stderr.

    ``level`` is one of debug, info, warn, warning, error, fatal; ``style`` is ``text`` or ``json``, or depends on the terminal.
    """
    handler = logging.StreamHandler(sys.stderr)
    as_json = style == "json" if style else not sys.stderr.isatty()
    handler.setFormatter(_Formatter(service, as_json=as_json))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    names = {"warn": "WARNING", "fatal": "CRITICAL", "trace": "DEBUG", "panic": "CRITICAL"}
    root.setLevel(names.get(level.lower(), level.upper()))
