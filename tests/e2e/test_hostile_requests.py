"""Requests that are meant to be taken for others, or for more than the daemon can hold."""

from __future__ import annotations

import re
import socket
import urllib.parse
from collections.abc import Iterator

import pytest
from tests.support.memory import little_memory
from tests.support.stack import Stack

_BODY = b'{"Image":"busybox"}'
_CREATE = b"POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n"
_PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n"
_LAST = b"Connection: close\r\n"
_CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(_BODY), _BODY)
_MEBI = 1 << 20


@pytest.fixture(autouse=True)
def _unharmed(stack: Stack) -> Iterator[None]:
    """The daemon lives, and nothing was created."""
    before = stack.pid("dockerd")
    yield
    assert stack.pid("dockerd") == before
    assert stack.docker("ps", "-aq") == ""


def _exchange(stack: Stack, *parts: bytes) -> tuple[list[int], bytes]:
    """The statuses of all answers until the daemon closes, and their bytes."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(stack.socket))
        seen = b""
        try:
            for part in parts:
                connection.sendall(part)
            while data := connection.recv(1 << 16):
                seen += data
        except ConnectionError:
            pass
    return [int(each) for each in re.findall(rb"HTTP/1\.1 (\d+) ", seen)], seen


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (b"Content-Length: 0\r\nContent-Length: 19\r\n", _BODY, 400),
        (b"Content-Length: 19\r\nContent-Length: 19\r\n", _BODY, 400),
        (b"Content-Length: 19, 19\r\n", _BODY, 400),
        (b"Content-Length: +19\r\n", _BODY, 400),
        (b"Content-Length: -1\r\n", _BODY, 400),
        (b"Content-Length: 0x13\r\n", _BODY, 400),
        (b"Content-Length: " + b"9" * 30 + b"\r\n", _BODY, 400),
        (b"Content-Length: " + b"9" * 5000 + b"\r\n", _BODY, 400),
        (b"Content-Length: 19\r\nTransfer-Encoding: chunked\r\n", _CHUNKED, 400),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", _CHUNKED, 400),
        (b"Transfer-Encoding: other, chunked\r\n", _CHUNKED, 501),
        (b"Transfer-Encoding: chunked, other\r\n", _CHUNKED, 501),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", _CHUNKED, 501),
        (b"Transfer-Encoding: identity\r\n", _BODY, 501),
        (b"Transfer-Encoding: \x0bchunked\r\n", _CHUNKED, 501),
        (b"Transfer-Encoding : chunked\r\n", _CHUNKED, 400),
        (b"Transfer-Encoding: chunked\r\n", b"-13\r\n" + _BODY + b"\r\n0\r\n\r\n", 400),
        (b"Transfer-Encoding: chunked\r\n", b"f" * 18 + b"\r\n" + _BODY, 400),
        (b"X: a\r\n folded\r\nContent-Length: 19\r\n", _BODY, 400),
        (b"X: a\0b\r\nContent-Length: 19\r\n", _BODY, 400),
        (b"Content-Length: 19\r\n", b'{"Image":"x", "a": 1', 400),
    ],
)
def test_a_length_has_one_meaning(stack: Stack, headers: bytes, body: bytes, status: int) -> None:
    statuses, seen = _exchange(stack, _CREATE + _LAST + headers + b"\r\n" + body)
    assert statuses == [status], seen


def test_requests_that_do_not_wait(stack: Stack) -> None:
    """However many come in one read: each is answered in its turn, and a body is never taken for a request."""
    assert _exchange(stack, (_PING + b"\r\n") * 3000 + _PING + _LAST + b"\r\n")[0] == [200] * 3001
    bad = _CREATE + b"Content-Length: 1\r\n\r\n{"
    assert _exchange(stack, bad * 3 + _PING + _LAST + b"\r\n")[0] == [400, 400, 400, 200]
    hidden = b"GET /info HTTP/1.1\r\nHost: d\r\n\r\n"
    upgrade = (
        b"POST /nothing HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(hidden), hidden)
    )
    statuses, seen = _exchange(stack, bad + upgrade + _PING + _LAST + b"\r\n")
    assert statuses == [400, 404, 200]
    assert b"Containers" not in seen


def test_a_head_that_comes_byte_by_byte(stack: Stack) -> None:
    head = _PING + b"X: " + b"y" * 300_000 + b"\r\n" + _LAST + b"\r\n"
    parts = [head[start : start + 16] for start in range(0, len(head), 16)]
    assert _exchange(stack, *parts)[0] == [200]


@pytest.mark.parametrize(
    "path",
    ["/v" + "9" * 5000 + ".1/_ping", "/v1.1/../_ping", "/containers/%2e%2e/json", "/containers/a%00b/json",
     "/containers/a%0d%0aX:%20y/json", "/containers/%ff%fe/json", "/volumes/..%2f..%2fetc", "/volumes/%2e%2e",
     "/networks/..%2f..", "/exec/..%2f../json", "/plugins/..%2f../json", "/images/..%2f../json", "/debug/..%2finfo"],
)  # fmt: skip
def test_a_path_leads_nowhere_else(stack: Stack, path: str) -> None:
    (status,), seen = _exchange(
        stack, f"GET {path} HTTP/1.1\r\nHost: d\r\n".encode() + _LAST + b"\r\n"
    )
    assert status in {400, 404}, seen
    head, _, _ = seen.partition(b"\r\n\r\n")
    assert b"\r\nX: y" not in head


@pytest.mark.parametrize(
    "path",
    ["/containers/create", "/volumes/create", "/networks/create", "/auth", "/commit?container=x", "/containers/x/exec",
     "/exec/x/start", "/networks/bridge/connect", "/containers/x/update"],
)  # fmt: skip
def test_a_body_without_an_end_is_not_kept(stack: Stack, path: str) -> None:
    body = b'{"Env":["' + b"x" * (96 * _MEBI) + b'"]}'
    with little_memory(stack):
        status, answer = stack.request("POST", path, body)
    assert status in {400, 404}, answer


@pytest.mark.parametrize(
    "body",
    [b"[" * _MEBI, b'{"a":' * _MEBI, b'{"StopTimeout":' + b"9" * 5000 + b"}", b'{"StopTimeout":1e999}',
     b'{"Image":"busybox","Image":"busybox"}', b'{"Image":"busybox","image":"busybox"}',
     b'{"Image":"busybox","HostConfig":{},"hostConfig":{}}', b'{"Image":"busybox","HostConfig":{},"Ho\xc5\xbftConfig":{}}',
     b'{"Image":"busybox","HostConfig":{"Privileged":true,"privileged":false}}', '{"Image":"busybox"}'.encode("utf-16")],
)  # fmt: skip
def test_a_document_has_one_meaning(stack: Stack, body: bytes) -> None:
    status, answer = stack.request("POST", "/containers/create", body)
    assert status == 400
    assert answer["message"].startswith("invalid JSON: ")


@pytest.mark.parametrize(
    "number",
    ["9" * 30, "9" * 5000, "1e999", "nan", "inf", "1_000", "\u0661", "\u00b2", "0x10", "-"],
)
def test_numbers_that_are_none(stack: Stack, number: str) -> None:
    text = urllib.parse.quote(number)
    stack.docker("create", "--name", "box", "busybox")
    for method, path in (
        ("GET", f"/events?since={text}&until=0"),
        ("GET", f"/containers/json?limit={text}"),
        ("GET", f"/containers/box/logs?stdout=1&since={text}"),
        ("GET", f"/containers/box/logs?stdout=1&tail={text}"),
        ("POST", f"/containers/box/resize?h={text}&w=1"),
        ("POST", f"/containers/box/stop?t={text}"),
        ("POST", f"/containers/box/kill?signal={text}"),
    ):
        status, answer = stack.request(method, path)
        assert status < 500, (path[:60], answer)
    assert stack.request("GET", f"/containers/json?limit={text}")[0] == 400
    stack.docker("rm", "box")
