"""The filter language."""

from __future__ import annotations

import pytest

from containerd.filters.match import Filter
from wire.errors import InvalidArgument

OBJECT = {
    ("name",): "docker.io/library/busybox:latest",
    ("labels", "a"): "one",
    ("labels", "com.example/x-y"): "with, comma",
    ("labels", "empty"): "",
    ("labels", 'quo"ted'): "tab\there",
}


def matches(*expressions: str) -> bool:
    return Filter(expressions).matches(OBJECT.get)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "name",
        "labels.a",
        "labels.empty",
        "name==docker.io/library/busybox:latest",
        "labels.a==one",
        'labels.a=="one"',
        "labels.a!=two",
        "labels.missing!=two",
        'labels."com.example/x-y"=="with, comma"',
        r'labels."quo\"ted"=="tab\there"',
        r'labels.a=="\x6f\u006e\U00000065"',
        r'labels.a=="\157ne"',
        "name~=busybox",
        "name~=/library\\/busy/",
        "name~=|library/busy|",
        'name~="^docker.io/.*:latest$"',
        "name~=[a-z]+",
        "labels.a==one,name~=busybox",
        " labels.a == one , name ",
        "name==docker.io/library/busybox:latest,labels.empty",
    ],
)
def test_matching(expression: str) -> None:
    assert matches(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "missing",
        "labels.missing",
        "labels.missing==x",
        'labels.missing~=".*"',
        "labels.a==two",
        "labels.a!=one",
        "labels.a==one,missing",
        "name~=^busybox",
        "name~=(",
        'labels.empty!=""',
    ],
)
def test_not_matching(expression: str) -> None:
    assert not matches(expression)


def test_one_of_several_must_hold() -> None:
    assert matches("missing", "labels.a")
    assert not matches("missing", "labels.b")
    assert Filter([]).matches(lambda _: None)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("labels.", "expected field or quoted"),
        ("labels.a==", "expected value or quoted"),
        ("labels.a=one", 'unsupported operator "="'),
        ("labels.a===one", 'unsupported operator "==="'),
        ("labels.a<one", "expected an operator"),
        ("labels.foo-bar==x", "expected an operator"),
        ("labels.a==one,", "expected field or quoted"),
        ("labels.a==one two", "unexpected input"),
        ("name==/x/", "invalid quote encountered"),
        ('name=="unfinished', "quoted literal not terminated"),
        (r'name=="\q"', "unquoting failed"),
        ("==x", "expected field or quoted"),
        (",", "expected field or quoted"),
        ("a" * 70_000, "too long"),
    ],
)
def test_malformed(expression: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match="filters: ") as raised:
        Filter([expression])
    assert message in raised.value.message
