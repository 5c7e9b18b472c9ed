"""Which commands and options of the docker CLI a set of shell lines uses."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SUBSTITUTION: Final = re.compile(r"\$\(([^()]*)\)")
_SEPARATORS: Final = re.compile(r"[;&|()<>\n]+")
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=.*")
# What may stand before a command in its place.
_LEADING: Final = frozenset({"until", "while", "do", "then", "if", "!", "{"})
# Options of `docker` itself that take a value.
_GLOBAL: Final = frozenset({"-H", "--host", "--config", "-c", "--context", "-l", "--log-level"})
# What comes behind their first plain word is not the CLI's.
_OTHERS_WORDS: Final = frozenset({"container run", "container create", "container exec"})


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its name, its other spellings, and its options by every form, ``True`` where one takes a value."""

    name: str
    spellings: tuple[str, ...]
    options: Mapping[str, bool]
    names: Mapping[str, str]
    """The long form of every form."""


def read(path: Path) -> list[Command]:
    """The commands that a file lists; its first lines say how."""
    found = {}
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        name, aliases, words = line.split("\t")
        options, names = {}, {}
        for word in words.split():
            forms = word.removesuffix("=").split("/")
            for form in forms:
                options[form] = word.endswith("=")
                names[form] = forms[-1]
        spellings = (name, *(alias for alias in aliases.split(",") if alias))
        found[name] = Command(name, spellings, options, names)
    run, create = found["container run"], found["container create"]
    found["container create"] = Command(
        create.name,
        create.spellings,
        {**run.options, **create.options},
        create.names,
    )
    return list(found.values())


def used(lines: Iterable[str], commands: Iterable[Command]) -> set[tuple[str, str]]:
    """Pairs of a spelling and an option's long form, or of a spelling and nothing."""
    known = {spelling: each for each in commands for spelling in each.spellings}
    found: set[tuple[str, str]] = set()
    for line in lines:
        for words in _calls(line):
            spelling = " ".join(words[:2])
            if spelling not in known:
                spelling = words[0] if words else ""
            command = known.get(spelling)
            if command is None:
                continue
            found.add((spelling, ""))
            rest = words[len(spelling.split()) :]
            found |= {(spelling, option) for option in _options(command, rest)}
    return found


def _calls(line: str) -> Iterator[list[str]]:
    """The words behind each `docker` of a line."""
    for inner in _SUBSTITUTION.findall(line):
        yield from _calls(inner)
    line = _SUBSTITUTION.sub("substituted", line)
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|()<>\n")
    lexer.whitespace = " \t"
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for token in [*lexer, ";"]:
        if not _SEPARATORS.fullmatch(token):
            words.append(token)
            continue
        if "<" in token or ">" in token:
            # A redirection: its file is taken for an argument, which does no harm.
            continue
        while words and (_ASSIGNMENT.fullmatch(words[0]) or words[0] in _LEADING):
            words.pop(0)
        if words and words[0] == "docker":
            yield _without_global(words[1:])
        words = []


def _without_global(words: list[str]) -> list[str]:
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in _GLOBAL else words[1:]
    return words


def _options(command: Command, words: list[str]) -> Iterator[str]:
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        if word == "--" or (not word.startswith("-") and command.name in _OTHERS_WORDS):
            return
        if word.startswith("--"):
            form, equals, _ = word.partition("=")
            if form in command.options:
                yield command.names.get(form, form)
                at += command.options[form] and not equals
        elif word.startswith("-"):
            for index, letter in enumerate(word[1:], 2):
                form = f"-{letter}"
                if form not in command.options:
                    break
                yield command.names.get(form, form)
                if command.options[form]:
                    at += index == len(word)
                    break
