"""Docker's four ways of comparing."""

from __future__ import annotations

import pytest

from dockerd.filters import Filters, InvalidFilter


def test_match_is_exact_or_a_pattern() -> None:
    wanted = Filters({"name": ["^web", "b+", "["]})
    assert wanted.match("name", "website")
    assert wanted.match("name", "abba")
    assert not wanted.match("name", "other")
    assert wanted.match("name", "[")
    assert wanted.match("id", "anything")


@pytest.mark.parametrize(
    ("values", "labels", "shown"),
    [
        (["a"], {"a": "1"}, True),
        (["a=1"], {"a": "1"}, True),
        (["a=2"], {"a": "1"}, False),
        (["a", "b"], {"a": "1"}, False),
        (["a="], {"a": ""}, True),
        (["a"], None, False),
    ],
)
def test_labels(values: list[str], labels: dict[str, str] | None, shown: bool) -> None:
    assert Filters({"label": values}).labels(labels) is shown
    assert Filters({"label!": values[:1]}).without_labels(labels) is not Filters(
        {"label": values[:1]}
    ).labels(labels)


@pytest.mark.parametrize("values", [[], ["x"], ["true", "false"], ["1", "0"]])
def test_boolean_refuses(values: list[str]) -> None:
    with pytest.raises(InvalidFilter):
        Filters({"k": values}).boolean("k")


def test_unknown_key_is_named() -> None:
    with pytest.raises(InvalidFilter, match="invalid filter 'x'"):
        Filters({"x": ["1"]}).check(frozenset({"y"}))
