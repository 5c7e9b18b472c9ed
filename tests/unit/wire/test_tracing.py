"""Spans, the header that carries them, and the document that a collector gets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from wire import otlp, tracing
from wire.errors import InvalidArgument
from wire.tracing import Kind, Record

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def records() -> Iterator[list[Record]]:
    found: list[Record] = []
    tracing.record_to("tested", found.append)
    tracing.attach(None)
    yield found
    tracing.record_to("", None)
    tracing.attach(None)


def test_nothing_is_made_while_nobody_listens() -> None:
    with tracing.span("anything", Kind.SERVER) as span:
        assert span is None
        assert tracing.traceparent() is None


def test_a_tree(records: list[Record]) -> None:
    with tracing.span("outer", Kind.SERVER, size=3):
        with tracing.span("inner"):
            header = tracing.traceparent()
        with pytest.raises(ValueError, match="broken"), tracing.span("failed"):
            raise ValueError("broken")
    assert tracing.traceparent() is None
    inner, failed, outer = records
    assert header == f"00-{inner['trace']}-{inner['span']}-01"
    assert (outer["parent"], inner["parent"], failed["parent"]) == (
        "",
        outer["span"],
        outer["span"],
    )
    assert (outer["error"], failed["error"]) == ("", "broken")
    assert outer["start"] <= inner["start"] <= inner["end"] <= failed["start"] <= outer["end"]
    assert outer["attributes"] == {"size": 3}


def test_only_what_serves_begins_a_trace(records: list[Record]) -> None:
    with tracing.span("call", Kind.CLIENT), tracing.span("work"):
        pass
    assert records == []


def test_a_caller_says_where_it_goes_on_and_whether_it_is_seen(records: list[Record]) -> None:
    tracing.attach(f"00-{TRACE}-{PARENT}-01")
    with tracing.span("seen", Kind.SERVER):
        pass
    tracing.attach(f"00-{TRACE}-{PARENT}-00")
    with tracing.span("unseen", Kind.SERVER):
        assert (tracing.traceparent() or "").endswith("-00")
    (seen,) = records
    assert (seen["trace"], seen["parent"]) == (TRACE, PARENT)


@pytest.mark.parametrize(
    "header",
    ["", "x", f"00-{TRACE}-{PARENT}", f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01", f"00-{TRACE.upper()}-{PARENT}-01"],
)  # fmt: skip
def test_a_header_that_is_none_is_dropped(header: str) -> None:
    tracing.attach(header)
    assert tracing.traceparent() is None


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/"}, "http://c:4318/v1/traces"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/own"}, "http://c/own"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "TRUE"}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, ""),
    ],
)
def test_where_spans_go(environment: dict[str, str], url: str) -> None:
    assert otlp.endpoint(environment) == url


def test_an_endpoint_that_is_none_ends_the_start() -> None:
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}
    with (
        pytest.raises(InvalidArgument, match="invalid OTLP endpoint"),
        otlp.exporting("x", environment),
    ):
        pass


def test_the_document() -> None:
    record = {
        "service": "tested", "trace": TRACE, "span": PARENT, "parent": "", "name": "n", "kind": 2, "start": 5, "end": 9,
        "attributes": {"text": "t", "number": 7, "flag": True}, "error": "bad",
    }  # fmt: skip
    (resource,) = otlp.document([record], {"host.name": "h"})["resourceSpans"]
    assert resource["resource"]["attributes"] == [
        {"key": "host.name", "value": {"stringValue": "h"}},
        {"key": "service.name", "value": {"stringValue": "tested"}},
    ]
    (span,) = resource["scopeSpans"][0]["spans"]
    assert span["attributes"] == [
        {"key": "text", "value": {"stringValue": "t"}},
        {"key": "number", "value": {"intValue": "7"}},
        {"key": "flag", "value": {"boolValue": True}},
    ]
    assert (span["startTimeUnixNano"], span["endTimeUnixNano"]) == ("5", "9")
    assert span["status"] == {"code": 2, "message": "bad"}
    assert "parentSpanId" not in span
