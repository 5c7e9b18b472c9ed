"""The stdio fields of requests."""

from __future__ import annotations

import re

import pytest

from shim.stdio import uri
from wire.errors import InvalidArgument, NotImplementedYet


@pytest.mark.parametrize(
    ("text", "scheme", "path"),
    [
        ("", "", ""),
        ("/run/fifo-1", "fifo", "/run/fifo-1"),
        ("fifo:///run/fifo%20one", "fifo", "/run/fifo one"),
        ("file:///var/log/a%3Fb", "file", "/var/log/a?b"),
        ("json-file:///log?max-size=10&max-file=3&attach=/a", "json-file", "/log"),
        ("binary:///usr/bin/logger", "binary", "/usr/bin/logger"),
        ("binary-v2:///usr/bin/logger?x=1", "binary-v2", "/usr/bin/logger"),
    ],
)
def test_forms(text: str, scheme: str, path: str) -> None:
    target = uri.parse(text)
    assert (target.scheme, target.path) == (scheme, path)


def test_a_loggers_query_is_its_command_line() -> None:
    target = uri.parse("binary:///bin/logger?--tag=a+b&--level=%3Dx&flag&--tag=again")
    assert target.arguments == ("--tag", "a b", "--level", "=x", "flag", "")


@pytest.mark.parametrize(
    "text",
    [
        "npipe:///x",
        "pipe:///x",
        "json-file:///x?unknown=1",
        "json-file:///x?max-size=big",
        "binary://relative",
        "file:///%zz",
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        uri.parse(text)


@pytest.mark.parametrize(
    "text", ["ttrpc+unix:///x?streaming_id=1", "grpc+vsock://3:1024/x", "streaming:///x?id=1"]
)
def test_streams_of_a_service_are_refused_by_name(text: str) -> None:
    with pytest.raises(NotImplementedYet, match=re.escape(repr(text.partition("://")[0]))):
        uri.parse(text)
