"""Spans of a shim: of each call that carries a sampled `traceparent`, and of what the runtime is run for meanwhile.

Sent as JSON, one datagram each, to the socket that containerd names in the environment. Without that name nothing happens.
"""

from __future__ import annotations

import json
import os
import socket
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable
    from typing import Any, Final

_SOCKET: Final = "DOCKYARD_TRACE_SOCKET"
_HEADER: Final = "traceparent"
_SERVER: Final = 2
_CLIENT: Final = 3
_PARTS: Final = 4

_current: Span | None = None


class Span:
    """One part of a trace."""

    def __init__(self, name: str, kind: int, trace: str, parent: str) -> None:
        self._name = name
        self._kind = kind
        self._trace = trace
        self._parent = parent
        self._id = os.urandom(8).hex()
        self._start = time.time_ns()

    @property
    def header(self) -> str:
        """What its children's processes are told."""
        return f"00-{self._trace}-{self._id}-01"

    def child(self, name: str) -> Span:
        """A call that is made for it."""
        return Span(name, _CLIENT, self._trace, self._id)

    def end(self, error: str = "") -> None:
        """Send it. Nobody waits for containerd: a full socket loses it."""
        record = {
            "service": "shim",
            "trace": self._trace,
            "span": self._id,
            "parent": self._parent,
            "name": self._name,
            "kind": self._kind,
            "start": self._start,
            "end": time.time_ns(),
            "attributes": {},
            "error": error,
        }
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            try:
                sender.sendto(json.dumps(record).encode(), os.environ.get(_SOCKET, ""))
            except OSError:
                return


def serving(name: str, metadata: Iterable[tuple[str, str]]) -> Span | None:
    """The span of a call that is traced."""
    if _SOCKET not in os.environ:
        return None
    for key, value in metadata:
        if key == _HEADER:
            parts = value.split("-")
            if len(parts) == _PARTS and parts[3].endswith(("1", "3")):
                return Span(name, _SERVER, parts[1], parts[2])
    return None


def calling(name: str) -> Span | None:
    """The span of a process that is run for the call of the moment, if that is traced."""
    return _current.child(name) if _current is not None else None


class Traced:
    """A coroutine during whose steps its span is the current one."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], span: Span) -> None:
        self._coroutine = coroutine
        self._span = span

    def send(self, value: object) -> object:
        """One step."""
        global _current
        before, _current = _current, self._span
        try:
            return self._coroutine.send(value)
        finally:
            _current = before
