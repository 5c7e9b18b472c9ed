"""JSON as Go reads it."""

from __future__ import annotations

import json

import pytest

from wire import jsontext


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": ["\ud800", "x\udfffy"], "\uD800": 1}', {"a": ["\ufffd", "x\ufffdy"], "\ufffd": 1}),
        (r'"\ud83d\ude00"', "\U0001f600"),
        (r'"\\ud800"', "\\ud800"),
        ('{"a": [1, -2.5, true, null, "é"]}', {"a": [1, -2.5, True, None, "é"]}),
    ],
)
def test_what_is_read_can_be_written(text: str, value: object) -> None:
    for form in (text, text.encode(), bytearray(text.encode())):
        found = jsontext.loads(form)
        assert found == value
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize(
    "data",
    ["", "{", "NaN", "[Infinity]", "-Infinity", "1e999", "[-1e400]", b'"\xff"', "[" * 100_000],
    ids=str,
)
def test_the_rest_is_refused(data: str | bytes) -> None:
    with pytest.raises(ValueError):
        jsontext.loads(data)


def test_halves_below_any_depth_are_found_or_refused() -> None:
    for depth in (10, 400, 900, 990):
        text = "[" * depth + r'"\ud800"' + "]" * depth
        try:
            found = jsontext.loads(text)
        except ValueError:
            assert depth > 400
            continue
        for _ in range(depth):
            (found,) = found
        assert found == "\ufffd"


def test_names_that_come_twice() -> None:
    assert jsontext.loads(b'{"a": 1, "a": 2}') == {"a": 2}
    for text in (
        b'{"a": 1, "a": 1}',
        b'[{"b": {"a": 1, "c": 2, "a": 3}}]',
        rb'{"a": 1, "\u0061": 1}',
    ):
        with pytest.raises(ValueError, match="duplicate field 'a'"):
            jsontext.loads(text, unique=True)
    assert jsontext.loads(b'[{"a": 1}, {"a": 2}]', unique=True) == [{"a": 1}, {"a": 2}]


def test_other_encodings_are_refused() -> None:
    for text in (b"\xef\xbb\xbf{}", "{}".encode("utf-16"), "{}".encode("utf-32-le"), b"1" * 6000):
        with pytest.raises(ValueError):
            jsontext.loads(text)
