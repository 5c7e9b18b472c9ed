"""The command line, by the rules of the original's flags: ``--name value``, ``--name=value``, ``-n value``, ``-nvalue``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from dockerd.configuration import values
from dockerd.configuration.options import BY_FLAG, BY_SHORT, OPTIONS, REPEATED, Kind, Option
from wire.errors import InvalidArgument

DEFAULT_FILE: Final = "/etc/docker/daemon.json"
_USAGE: Final = (
    "Usage:  dockerd [OPTIONS]\n\nA self-sufficient runtime for containers.\n\nOptions:\n"
)
_OWN: Final = {
    "config-file": Option(
        key="config-file",
        kind=Kind.TEXT,
        default=DEFAULT_FILE,
        flag="config-file",
        help="Daemon configuration file",
    ),
    "validate": Option(
        key="validate",
        kind=Kind.BOOLEAN,
        default=False,
        flag="validate",
        help="Validate daemon configuration and exit",
    ),
    "version": Option(
        key="version",
        kind=Kind.BOOLEAN,
        default=False,
        flag="version",
        short="v",
        help="Print version information and quit",
    ),
    "help": Option(
        key="help",
        kind=Kind.BOOLEAN,
        default=False,
        flag="help",
        short="h",
        help="Print usage",
    ),
}
_FLAGS: Final = {**BY_FLAG, **_OWN}
_SHORTS: Final = {**BY_SHORT, **{each.short: each for each in _OWN.values() if each.short}}


@dataclass(slots=True, kw_only=True)
class CommandLine:
    """What was given: ``given`` has the options of the daemon by their names in the file."""

    given: dict[str, Any] = field(default_factory=dict)
    config_file: str = DEFAULT_FILE
    config_file_named: bool = False
    validate: bool = False
    version: bool = False
    help: bool = False


def parse(arguments: list[str]) -> CommandLine:
    """Raises InvalidArgument in the original's words for flags and values that it does not know."""
    found: dict[str, Any] = {}
    left = list(arguments)
    while left:
        word = left.pop(0)
        if word == "--":
            _refuse_arguments(left)
            break
        if word.startswith("--"):
            _long(word, left, found)
        elif word.startswith("-") and word != "-":
            _short(word, left, found)
        else:
            _refuse_arguments([word])
    own = {key.replace("-", "_"): found.pop(key) for key in _OWN if key in found}
    return CommandLine(given=found, config_file_named="config_file" in own, **own)


def usage() -> str:
    """The text of ``--help``."""
    rows = []
    for option in sorted((*OPTIONS, *_OWN.values()), key=lambda each: each.flag):
        if not option.flag or option.hidden or option.refused:
            continue
        name = f"-{option.short}, " if option.short else "    "
        kind = "" if option.kind is Kind.BOOLEAN else f" {_kind(option)}"
        text = option.help
        if option.default and option.kind not in REPEATED:
            text += f" (default {values.shown(option.default)})"
        rows.append((f"  {name}--{option.flag}{kind}", text))
    width = max(len(left) for left, _ in rows) + 3
    return _USAGE + "".join(f"{left:<{width}}{right}\n" for left, right in rows)


def _kind(option: Option) -> str:
    return {Kind.LIST: "list", Kind.MAP: "map", Kind.NESTED: "mapmap", Kind.SWITCHES: "set"}.get(
        option.kind, option.kind.value
    )


def _long(word: str, left: list[str], found: dict[str, Any]) -> None:
    name, separator, value = word[2:].partition("=")
    option = _FLAGS.get(name)
    if option is None:
        _fail(f"unknown flag: --{name}")
    if not separator:
        if option.kind is Kind.BOOLEAN:
            value = "true"
        elif left:
            value = left.pop(0)
        else:
            _fail(f"flag needs an argument: --{name}")
    _set(option, value, found)


def _short(word: str, left: list[str], found: dict[str, Any]) -> None:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        option = _SHORTS.get(letter)
        if option is None:
            _fail(f"unknown shorthand flag: '{letter}' in {word}")
        if letters.startswith("="):
            value, letters = letters[1:], ""
        elif option.kind is Kind.BOOLEAN:
            value = "true"
        elif letters:
            value, letters = letters, ""
        elif left:
            value = left.pop(0)
        else:
            _fail(f"flag needs an argument: '{letter}' in {word}")
        _set(option, value, found)


def _set(option: Option, text: str, found: dict[str, Any]) -> None:
    before = found.get(option.key, option.default if option.kind in REPEATED else None)
    try:
        found[option.key] = values.of_flag(option, text, before)
    except InvalidArgument as error:
        name = f"-{option.short}, --{option.flag}" if option.short else f"--{option.flag}"
        _fail(f'invalid argument "{text}" for "{name}" flag: {error.message}')


def _refuse_arguments(words: list[str]) -> None:
    if words:
        raise InvalidArgument("\"dockerd\" accepts no arguments.\nSee 'dockerd --help'.")


def _fail(words: str) -> NoReturn:
    raise InvalidArgument(f"{words}\nSee 'dockerd --help'.")
