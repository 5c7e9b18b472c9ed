"""The table of services/runtime/README.md: it has a row for everything that the runtime takes or says, and each row names the
tests that fail without it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.runtime.conftest import CLONE, Box

README = CLONE / "services/runtime/README.md"
SPEC = CLONE / "services/runtime/crates/spec/src"
FOLDERS = ("runtime", "security", "cgroup2")
SECTIONS = """Configuration, Global flags, Verbs, State, Seccomp notification, Annotations, Environment, Exit codes,
 Words that callers match, Lifecycle, Default devices, Default links, Mount options, Features"""


@dataclass(frozen=True)
class Row:
    section: str
    name: str
    state: str
    tests: tuple[str, ...]


def rows() -> Iterator[Row]:
    text = README.read_text().split("\n## Every row\n")[1]
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        title, *lines = section.splitlines()
        for line in lines:
            cells = [each.strip() for each in re.split(r"(?<!\\)\|", line)[1:-1]]
            if len(cells) == 3 and cells[0].startswith("`"):
                names = tuple(re.findall(r"\w+", cells[2]))
                yield Row(title, cells[0].strip("`").replace("\\|", "|"), cells[1], names)


ROWS = list(rows())


def named(section: str) -> dict[str, Row]:
    return {row.name: row for row in ROWS if row.section == section}


def test_every_section_is_there() -> None:
    assert list(dict.fromkeys(row.section for row in ROWS)) == re.split(r",\s+", SECTIONS)
    keys = [(row.section, row.name) for row in ROWS]
    assert len(keys) == len(set(keys))


def test_every_row_names_tests_that_exist() -> None:
    files = [each for name in FOLDERS for each in (CLONE / "tests" / name).glob("test_*.py")]
    defined = {
        name
        for each in files
        for name in re.findall(r"^def (test_\w+)", each.read_text(), re.MULTILINE)
    }
    for row in ROWS:
        # What is ignored, or does not exist, has nothing that a test could see.
        assert row.tests or re.match(r"ignored|none", row.state), row
        assert set(row.tests) <= defined, row
        assert re.match(
            r"done|refused|ignored|none|accepted|written|passed on|code for|as ", row.state
        ), row
        # Refused means: with these words.
        assert not row.state.startswith("refused") or "`" in row.state, row


def structures() -> dict[str, list[tuple[str, str]]]:
    """Of each struct of the crate, its fields as they are written in JSON, with their types."""
    found: dict[str, list[tuple[str, str]]] = {}
    for file in SPEC.glob("*.rs"):
        for head, name, body in re.findall(
            r"((?:#\[[^\n]*\]\n)*)pub struct (\w+) \{(.*?)^\}",
            file.read_text(),
            re.MULTILINE | re.DOTALL,
        ):
            camel = "camelCase" in head
            fields = found.setdefault(name, [])
            for above, field, kind in re.findall(
                r"((?:\s*(?:///|#\[)[^\n]*\n)*)\s*pub (\w+): ([^\n]*),\n", body
            ):
                renamed = re.search(r'rename = "(\w+)"', above)
                plain = re.sub(r"_(\w)", lambda match: match[1].upper(), field) if camel else field
                fields.append((renamed[1] if renamed else plain, kind))
    return found


def paths(kind: str, at: str, known: dict[str, list[tuple[str, str]]]) -> Iterator[str]:
    """The paths of the table that a type at a place stands for."""
    kind = re.sub(r"(crate|\w+)::", "", kind)
    if match := re.fullmatch(r"Option<(.*)>", kind):
        yield from paths(match[1], at, known)
    elif match := re.fullmatch(r"Vec<(.*)>", kind):
        yield from paths(match[1], f"{at}[]", known)
    elif match := re.fullmatch(r"BTreeMap<String, (.*)>", kind):
        yield from paths(match[1], f"{at}{{}}", known)
    else:
        if at:
            yield at
        for name, inner in known.get(kind, ()):
            yield from paths(inner, f"{at}.{name}" if at else name, known)


def test_every_field_of_the_configuration_has_a_row() -> None:
    table = named("Configuration")
    fields = list(paths("Spec", "", structures()))
    assert len(fields) > 200
    assert [each for each in fields if each not in table] == []
    others = [row for name, row in table.items() if name not in fields]
    assert [row for row in others if not row.state.startswith("ignored")] == []


def options(text: str) -> set[str]:
    """The flags of a help text."""
    lines = text.split("OPTIONS:\n")[1].splitlines()
    return {flag for line in lines for flag in re.findall(r"(?<!\S)--?[a-z][a-z0-9-]*", line[:34])}


def flags(name: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", name))


def test_every_verb_and_flag_has_a_row(box: Box) -> None:
    help_text = box.ok("--help").out
    verbs = re.findall(
        r"^   (\w+) ", help_text.split("COMMANDS:\n")[1].split("\n\n")[0], re.MULTILINE
    )
    table: dict[str, set[str]] = {}
    for row in named("Verbs").values():
        verb = row.name.split()[0]
        if row.state.startswith(("refused", "none")):
            assert verb not in verbs, row
        else:
            found = table.setdefault(verb, set())
            found |= flags(row.name)
            if row.name.endswith("(create flags)"):
                found |= table["create"]
    assert set(table) == set(verbs)
    for verb in verbs:
        assert table[verb] == options(box.ok(verb, "--help").out), verb
    written = {flag for name in named("Global flags") for flag in flags(name)}
    assert written - {"-v"} == options(help_text)


def keys(value: Any, at: str = "") -> Iterator[str]:
    for name, inner in value.items() if isinstance(value, dict) else ():
        place = f"{at}.{name}" if at else name
        yield place
        # The annotations' names are data.
        if place != "annotations":
            yield from keys(inner, place)


def test_every_feature_and_mount_option_has_a_row(box: Box) -> None:
    features = json.loads(box.ok("features").out)
    assert set(keys(features)) == set(named("Features"))
    assert set(features["mountOptions"]) == set(named("Mount options"))


def test_every_word_of_the_state_has_a_row(box: Box) -> None:
    box.config["annotations"] = {"a": "b"}
    box.create("true")
    table = {name for row in named("State") for name in row.split(",")}
    assert set(box.state()) == table


@pytest.mark.parametrize("section", ["Annotations", "Environment"])
def test_every_steering_word_of_the_source_has_a_row(section: str) -> None:
    source = "".join(
        each.read_text()
        for crate in ("engine", "cli", "cgroups")
        for each in (SPEC.parents[1] / crate / "src").rglob("*.rs")
    )
    table = " ".join(named(section))
    if section == "Annotations":
        found = set(re.findall(r'"((?:run\.oci|org\.criu|org\.systemd)[\w.]*)"', source))
        table = table.replace("stdout,stderr", "stdout run.oci.hooks.stderr")
    else:
        found = set(re.findall(r'env::var(?:_os)?\("(\w+)"\)', source))
    assert found
    assert [each for each in found if each not in table] == []
