"""Templates of the log option ``tag``."""

from __future__ import annotations

import pytest

from dockerd.containers import log_tag
from dockerd.containers.log_attributes import journal_key
from wire.errors import InvalidArgument

VALUES = {"ID": "abc", "Name": "web", "ContainerLabels": {"a.b": "c"}, "ContainerArgs": ["x", "y"]}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("{{.Name}}/{{.ID}}", "web/abc"),
        ("a {{- .Name -}} b", "awebb"),
        ("{{ upper .Name }}", "WEB"),
        ("{{ truncate (upper .Name) 2 }}", "WE"),
        ("{{ .Name | upper }}", "WEB"),
        ('{{ index .ContainerLabels "a.b" }}', "c"),
        ('{{ join .ContainerArgs "," }}', "x,y"),
        ('{{ printf "%s-%.2s" .Name .ID }}', "web-ab"),
        ("{{ json .ContainerLabels }}", '{"a.b":"c"}'),
        ("{{ pad .Name 1 2 }}", " web  "),
        ("{{ .ContainerLabels }}", "map[a.b:c]"),
    ],
)
def test_rendered(template: str, expected: str) -> None:
    assert log_tag.render(template, VALUES) == expected


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{.Nope}}", "can't evaluate field Nope in type"),
        ("{{", "unclosed action"),
        ("{{ frob .ID }}", 'function "frob" not defined'),
        ("{{ if .ID }}x{{ end }}", 'function "if" not defined'),
        ("{{ index .ContainerArgs 7 }}", "error calling index"),
        ("{{ (.ID }}", "unclosed left paren"),
        ("{{ }}", "missing value for command"),
    ],
)
def test_refused(template: str, words: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        log_tag.render(template, VALUES)
    assert words in caught.value.message


def test_names_for_the_journal() -> None:
    assert journal_key("com.docker-x") == "COM_DOCKER_X"
    assert journal_key("__a é1") == "A__1"
