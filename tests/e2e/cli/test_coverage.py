"""The table has every command of the docker CLI that this engine serves, in every spelling, and every option of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.e2e.cli import (
    test_containers,
    test_files,
    test_images,
    test_networks,
    test_registry,
    test_run,
    test_system,
)
from tests.support.cli import Row
from tests.support.cli_coverage import Command, read, used

_MODULES: Final = (
    test_containers, test_files, test_images, test_networks, test_registry, test_run, test_system,
)  # fmt: skip
_COMMANDS: Final = read(Path(__file__).with_name("commands.tsv"))
# What one command's rows show of another: `create` takes the options of `run` into the same request.
_SAME: Final = {"container run": "container create"}


def _lines() -> list[str]:
    rows = [
        each
        for module in _MODULES
        for table in vars(module).values()
        if isinstance(table, list)
        for each in table
        if isinstance(each, Row)
    ]
    return [each.line for each in rows] + [each.given for each in rows if each.given]


def _missing(lines: list[str]) -> Iterator[str]:
    found = used(lines, _COMMANDS)
    spellings = {command.name: command.spellings for command in _COMMANDS}
    for command in _COMMANDS:
        for spelling in command.spellings:
            if (spelling, "") not in found:
                yield spelling
        ways = [*command.spellings, *spellings.get(_SAME.get(command.name, ""), ())]
        for option in sorted(set(command.names.values())):
            if not any((spelling, option) in found for spelling in ways):
                yield f"{command.name} {option}"


def test_every_command_and_option_has_a_row() -> None:
    assert list(_missing(_lines())) == []


def test_a_command_and_an_option_without_a_row_are_noticed() -> None:
    """The lines are read rightly: without those that have it, an option is missing."""
    lines = [each for each in _lines() if not re.search(r"docker container list|--tree", each)]
    assert list(_missing(lines)) == ["container list", "image ls --tree"]


def test_lines_are_read_as_a_shell_and_the_cli_read_them() -> None:
    run = Command(
        "container run", ("container run", "run"),
        {"-d": False, "-i": False, "--name": True, "-e": True, "--rm": False},
        {"-d": "--detach", "-i": "--interactive", "--name": "--name", "-e": "--env", "--rm": "--rm"},
    )  # fmt: skip
    for line, options in (
        ("docker run -di -e --rm busybox --name x", {"--detach", "--interactive", "--env"}),
        ("A=1 docker -H x run --name=--rm busybox; echo docker run -d", {"--name"}),
        ("until docker run -eX=1 busybox >/dev/null 2>&1 && docker run --rm busybox", {"--env", "--rm"}),
        ("x $(docker run -d busybox) | docker run -i busybox", {"--detach", "--interactive"}),
    ):  # fmt: skip
        assert used([line], [run]) == {("run", ""), *(("run", each) for each in options)}, line
