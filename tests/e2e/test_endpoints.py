"""The table of endpoints in dockerd's README says what is true."""

from __future__ import annotations

import re

import pytest
from tests.support.stack import CLONE, Stack

_TABLE = CLONE / "services/dockerd/README.md"
_ROW = re.compile(r"\| ([A-Z]+) \| `([^`]+)` \| (served|\d+) \|")
_ENDLESS = ("/events", "/attach", "/wait", "/stats")


def rows() -> list[tuple[str, str, str]]:
    return [
        found.groups() for line in _TABLE.read_text().splitlines() if (found := _ROW.match(line))
    ]  # type: ignore[misc]


def test_table_is_whole() -> None:
    assert len(rows()) > 100


@pytest.mark.parametrize(("method", "path", "state"), rows())
def test_endpoint_is_as_the_table_says(stack: Stack, method: str, path: str, state: str) -> None:
    concrete = re.sub(r"\{[^}]*\}", "nobody", path)
    if state == "served" and concrete.endswith(_ENDLESS) and "nobody" not in concrete:
        concrete += "?until=1"
    body = {} if method == "POST" else None
    status, answer = stack.request(method, concrete, body)
    if state != "served":
        assert str(status) == state
        return
    assert status != 501
    # Nobody and nothing of that name, but a path that exists.
    assert not (isinstance(answer, dict) and answer.get("message") == "page not found")
