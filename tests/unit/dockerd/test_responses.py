"""Documents are written as Starlette writes them, and whatever was recorded is shown."""

from __future__ import annotations

from typing import Any

import pytest
from starlette import responses

from dockerd.api.responses import JSONResponse


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        [],
        {},
        [{"a": None, "b": [1, -2, 2**70, 0.25, 1e300]}, ("x", False)],
        {"": '\x00\x1f\x7f\u2028é\U0001f600"\\/<>&\n'},
    ],
)
def test_bytes_are_those_of_starlette(value: Any) -> None:
    ours, theirs = JSONResponse(value, 201), responses.JSONResponse(value, 201)
    assert ours.body == theirs.body
    assert ours.raw_headers == theirs.raw_headers
    assert ours.status_code == 201


def test_a_half_of_a_surrogate_pair_is_replaced() -> None:
    assert JSONResponse([{"x\udc00": "\ud800y"}]).body == '[{"x\ufffd":"\ufffdy"}]'.encode()
