"""Spans: what a request went through, and how long each part took, in the model of OpenTelemetry.

Nothing is recorded before ``record_to``, and ``span`` then costs one comparison. A span is the parent of what begins in its
block, in this process by a context variable, in others by the W3C ``traceparent`` that calls carry. Standard library only.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, Token
from enum import IntEnum
from types import TracebackType
from typing import Any, Final, Self

SOCKET_VARIABLE: Final = "DOCKYARD_TRACE_SOCKET"
"""Where processes that cannot export on their own send their spans, one a datagram, as JSON."""

_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_SAMPLED: Final = 1
_current: ContextVar[str | None] = ContextVar("traceparent", default=None)

Record = dict[str, Any]
"""service, trace, span, parent, name, kind, start and end (ns since the epoch), attributes, error."""
Sink = Callable[[Record], None]


class Kind(IntEnum):
    """Which side of a call a span is."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class _Tracer:
    service = ""
    sink: Sink | None = None


def record_to(service: str, sink: Sink | None) -> None:
    """Give every span of this process, under a service's name, to ``sink``; None ends that."""
    _Tracer.service, _Tracer.sink = service, sink


def recording() -> bool:
    """Whether spans go anywhere."""
    return _Tracer.sink is not None


def traceparent() -> str | None:
    """What calls made from here carry, or None outside of any trace."""
    return _current.get()


def trace_id() -> str | None:
    """The current trace, for log lines."""
    header = _current.get()
    return header.split("-")[1] if header else None


def attach(header: str | None) -> None:
    """Go on with a caller's trace in the current context; a header that is none is dropped."""
    _current.set(header if header and _parse(header) else None)


class Span:
    """One part of a trace; made by ``span``."""

    __slots__ = (
        "_header",
        "_parent",
        "_sampled",
        "_start",
        "_token",
        "_trace",
        "attributes",
        "error",
        "kind",
        "name",
    )

    def __init__(self, name: str, kind: Kind, attributes: dict[str, Any]) -> None:
        self.name = name
        self.kind = kind
        self.attributes = attributes
        self.error = ""
        found = _parse(_current.get() or "")
        self._trace, self._parent, self._sampled = found or (os.urandom(16).hex(), "", True)
        self._header = f"00-{self._trace}-{os.urandom(8).hex()}-{int(self._sampled):02x}"
        self._start = 0
        self._token: Token[str | None] | None = None

    def __enter__(self) -> Self:
        self._start = time.time_ns()
        self._token = _current.set(self._header)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._token is not None:
            _current.reset(self._token)
        if error is not None and not self.error:
            self.error = str(error) or type(error).__name__
        sink = _Tracer.sink
        if sink is None or not self._sampled:
            return
        sink(
            {
                "service": _Tracer.service,
                "trace": self._trace,
                "span": self._header[36:52],
                "parent": self._parent,
                "name": self.name,
                "kind": int(self.kind),
                "start": self._start,
                "end": time.time_ns(),
                "attributes": self.attributes,
                "error": self.error,
            }
        )


_OFF: Final[AbstractContextManager[None]] = nullcontext()


def span(
    name: str, kind: Kind = Kind.INTERNAL, **attributes: Any
) -> AbstractContextManager[Span | None]:
    """The block as a part of the current trace; None while nothing is recorded.

    What serves a call begins a trace where there is none. Work of the process's own does not.
    """
    if _Tracer.sink is None or (kind is not Kind.SERVER and _current.get() is None):
        return _OFF
    return Span(name, kind, attributes)


def _parse(header: str) -> tuple[str, str, bool] | None:
    """Trace, parent, and whether anybody wants to see it."""
    found = _TRACEPARENT.fullmatch(header)
    if found is None or not int(found[1], 16) or not int(found[2], 16) or header.startswith("ff"):
        return None
    return found[1], found[2], bool(int(found[3], 16) & _SAMPLED)
