"""Traces of a whole stack, as a collector of ours sees them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.collector import Collector, Seen, collecting
from tests.support.stack import Stack, running_stack

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
RUN = (
    "POST /containers/create", "POST /containers/{reference}/wait", "POST /containers/{reference}/start",
)  # fmt: skip


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture(scope="module")
def traced(collector: Collector) -> Iterator[Stack]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        patch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b")
        with running_stack(Path(tempfile.mkdtemp(prefix="dockyard-traces-"))) as stack:
            yield stack


def named(spans: list[Seen], name: str) -> list[Seen]:
    return [each for each in spans if each.name == name]


def tree(spans: list[Seen], root: Seen) -> list[Seen]:
    """A span and all below it."""
    below = [found for each in spans if each.parent == root.span for found in tree(spans, each)]
    return [root, *below]


def ended(spans: list[Seen], trace: str) -> bool:
    """Whether a request's trace is whole: its first span, what the slowest process sends, and every parent."""
    mine = [each for each in spans if each.trace == trace]
    known = {each.span for each in mine} | {"", PARENT}
    return (
        any(each.parent in {"", PARENT} for each in mine)
        and bool(named(mine, "runtime.start"))
        and all(each.parent in known for each in mine)
    )


def test_docker_run_is_a_tree_for_each_request(traced: Stack, collector: Collector) -> None:
    began = time.time_ns()
    assert traced.docker("run", "busybox", "echo", "hello") == "hello"

    def since(found: list[Seen]) -> list[Seen]:
        """Without what the stack ran when it came up."""
        return [each for each in found if each.start >= began]

    spans = since(
        collector.wait(
            lambda found: any(
                ended(since(found), each.trace)
                for each in named(since(found), "POST /containers/{reference}/start")
            )
        )
    )
    roots = [each for each in spans if not each.parent]
    assert set(RUN) <= {each.name for each in roots}
    assert len({each.trace for each in roots}) == len(roots)
    (start,) = named(roots, "POST /containers/{reference}/start")
    below = tree(spans, start)
    assert len(below) >= 12
    assert len(below) == len([each for each in spans if each.trace == start.trace])
    assert {each.service for each in below} >= {"dockerd", "containerd", "shim"}
    (create,) = named(below, "runtime.create")
    path = [create]
    known = {each.span: each for each in below}
    while path[-1] is not start:
        path.append(known[path[-1].parent])
    assert [each.service for each in reversed(path)] == [
        "dockerd", "dockerd", "dockerd", "containerd", "containerd", "shim", "shim",
    ]  # fmt: skip
    for inner in below:
        if inner is not start:
            assert known[inner.parent].start <= inner.start <= inner.end
    assert start.attributes["http.response.status_code"] == "204"
    assert collector.headers[0]["x-key"] == "a b"


def test_a_clients_trace_goes_on(traced: Stack, collector: Collector) -> None:
    traced.docker("create", "--name", "known", "busybox", "true")
    header = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    assert traced.request("POST", "/containers/known/start", headers=header)[0] == 204
    spans = collector.wait(lambda found: ended(found, TRACE))
    (start,) = [each for each in spans if each.parent == PARENT]
    assert start.trace == TRACE
    assert len(tree(spans, start)) >= 12


def test_what_the_client_does_not_sample_is_not_sent(traced: Stack, collector: Collector) -> None:
    other = "1" * 32
    header = {"traceparent": f"00-{other}-{PARENT}-00"}
    assert traced.request("GET", "/containers/json", headers=header)[0] == 200
    assert traced.request("GET", "/info")[0] == 200
    spans = collector.wait(lambda found: named(found, "GET /info"))
    assert not [each for each in spans if each.trace == other]


def test_failures_are_marked(traced: Stack, collector: Collector) -> None:
    traced.docker("create", "--name", "bad", "busybox", "/nothing")
    status, _ = traced.request("POST", "/containers/bad/start")
    assert status == 400
    spans = collector.wait(lambda found: any(each.error for each in named(found, "runtime.create")))
    (failed,) = [each for each in named(spans, "runtime.create") if each.error]
    assert failed.error.startswith("exit status")
