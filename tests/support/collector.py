"""A collector of OpenTelemetry on loopback: it takes OTLP/HTTP in JSON and remembers every span."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Seen:
    """A span as it arrived."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    start: int
    end: int
    kind: int
    attributes: dict[str, Any]
    error: str


class Collector:
    """What has come so far."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._spans: list[Seen] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    def take(self, headers: dict[str, str], document: dict[str, Any]) -> None:
        found = [
            _seen(span, _values(each["resource"]["attributes"])["service.name"])
            for each in document["resourceSpans"]
            for scope in each["scopeSpans"]
            for span in scope["spans"]
        ]
        with self._changed:
            self.headers.append(headers)
            self._spans += found
            self._changed.notify_all()

    def wait(self, enough: Callable[[list[Seen]], Any], timeout: float = 20) -> list[Seen]:
        """All spans, once there are enough."""
        with self._changed:
            assert self._changed.wait_for(lambda: enough(self._spans), timeout), self._spans
            return list(self._spans)


def _seen(span: dict[str, Any], service: str) -> Seen:
    return Seen(
        service=service,
        name=span["name"],
        trace=span["traceId"],
        span=span["spanId"],
        parent=span.get("parentSpanId", ""),
        start=int(span["startTimeUnixNano"]),
        end=int(span["endTimeUnixNano"]),
        kind=span["kind"],
        attributes=_values(span["attributes"]),
        error=span["status"].get("message", ""),
    )


def _values(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values())) for each in attributes}


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens during the block."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            assert self.headers["Content-Type"] == "application/json"
            collector.take(dict(self.headers), json.loads(body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    collector.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
