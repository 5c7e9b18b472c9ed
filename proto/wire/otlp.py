"""Exporting spans by OTLP/HTTP in JSON, where the usual variables of OpenTelemetry name a collector.

A thread sends what came together; a collector that is away costs spans, never a request.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import queue
import socket
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from wire import tracing
from wire.errors import InvalidArgument
from wire.tracing import Record

logger = logging.getLogger(__name__)

_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
_TRACES_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_DISABLED: Final = "OTEL_SDK_DISABLED"
_PATH: Final = "/v1/traces"
_LARGEST_QUEUE: Final = 4096
_LARGEST_BATCH: Final = 512
_GATHERING: Final = 0.5
_DEFAULT_TIMEOUT: Final = 10.0
_FAREWELL: Final = 3.0
_ERROR: Final = 2


def endpoint(environment: Mapping[str, str] = os.environ) -> str:
    """The collector's URL for traces; empty if nobody wants any."""
    if environment.get(_DISABLED, "").strip().lower() == "true":
        return ""
    if environment.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower() == "none":
        return ""
    own = environment.get(_TRACES_ENDPOINT, "").strip()
    base = environment.get(_ENDPOINT, "").strip()
    return own or (base.rstrip("/") + _PATH if base else "")


@contextmanager
def exporting(
    service: str, environment: Mapping[str, str] = os.environ
) -> Iterator[Exporter | None]:
    """Export this process's spans during the block, if the environment says where to; raises InvalidArgument."""
    url = endpoint(environment)
    if not url:
        yield None
        return
    try:
        exporter = Exporter(url, environment)
    except ValueError as error:
        raise InvalidArgument(str(error)) from None
    tracing.record_to(environment.get("OTEL_SERVICE_NAME") or service, exporter.add)
    try:
        yield exporter
    finally:
        tracing.record_to("", None)
        exporter.close()


class Exporter:
    """Sends records to one collector. ``add`` never waits and never fails."""

    def __init__(self, url: str, environment: Mapping[str, str] = os.environ) -> None:
        """Raises ValueError for a URL that is none of HTTP."""
        self._url = urllib.parse.urlsplit(url)
        if self._url.scheme not in {"http", "https"} or not self._url.hostname:
            raise ValueError(f"invalid OTLP endpoint {url!r}: http://HOST:PORT is needed")
        self._headers = {"Content-Type": "application/json", **_headers(environment)}
        self._timeout = _seconds(environment.get("OTEL_EXPORTER_OTLP_TIMEOUT", ""))
        self._resource = _resource(environment)
        self._queue: queue.Queue[Record | None] = queue.Queue(_LARGEST_QUEUE)
        self._failing = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def add(self, record: Record) -> None:
        """Send a record soon; dropped while too many wait."""
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._failed("too many spans wait")

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        self._ended.set()
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(_FAREWELL)

    def _run(self) -> None:
        ended = False
        while not ended:
            batch = [self._queue.get()]
            # Spans of one request come within moments: one message for them.
            self._ended.wait(_GATHERING)
            while len(batch) < _LARGEST_BATCH and batch[-1] is not None and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            ended = batch[-1] is None
            self._send([each for each in batch if each is not None])

    def _send(self, records: list[Record]) -> None:
        if not records:
            return
        make = (
            http.client.HTTPSConnection
            if self._url.scheme == "https"
            else http.client.HTTPConnection
        )
        connection = make(self._url.hostname or "", self._url.port, timeout=self._timeout)
        try:
            body = json.dumps(document(records, self._resource)).encode()
            path = self._url.path or "/"
            connection.request("POST", f"{path}?{self._url.query}" if self._url.query else path, body, self._headers)  # fmt: skip
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 300:
                self._failed(f"the collector answered {answer.status}")
            else:
                self._failing = False
        except (OSError, http.client.HTTPException) as error:
            self._failed(str(error))
        finally:
            connection.close()

    def _failed(self, cause: str) -> None:
        if not self._failing:
            self._failing = True
            logger.warning("spans not exported", extra={"error": cause})


def document(records: list[Record], resource: Mapping[str, str]) -> dict[str, Any]:
    """An ExportTraceServiceRequest in the JSON encoding of OTLP: a resource for each service."""
    by_service: dict[str, list[dict[str, Any]]] = {}
    for each in records:
        by_service.setdefault(each["service"], []).append(_span(each))
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": _attributes({**resource, "service.name": service})},
                "scopeSpans": [{"scope": {"name": "dockyard"}, "spans": spans}],
            }
            for service, spans in by_service.items()
        ]
    }


def _span(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = {
        "traceId": record["trace"],
        "spanId": record["span"],
        "name": record["name"],
        "kind": record["kind"],
        "startTimeUnixNano": str(record["start"]),
        "endTimeUnixNano": str(record["end"]),
        "attributes": _attributes(record["attributes"]),
        "status": {"code": _ERROR, "message": record["error"]} if record["error"] else {},
    }
    if record["parent"]:
        found["parentSpanId"] = record["parent"]
    return found


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"stringValue": str(value)}


def _pairs(text: str) -> dict[str, str]:
    """``key=value,…`` with percent-encoded values."""
    found = {}
    for each in text.split(","):
        key, mark, value = each.partition("=")
        if mark and key.strip():
            found[key.strip()] = urllib.parse.unquote(value.strip())
    return found


def _headers(environment: Mapping[str, str]) -> dict[str, str]:
    return _pairs(environment.get("OTEL_EXPORTER_OTLP_HEADERS", "")) | _pairs(
        environment.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "")
    )


def _resource(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        "host.name": socket.gethostname(),
        **_pairs(environment.get("OTEL_RESOURCE_ATTRIBUTES", "")),
    }


def _seconds(text: str) -> float:
    """Of a number of milliseconds."""
    return int(text) / 1000 if text.isascii() and text.isdigit() else _DEFAULT_TIMEOUT
