"""Templates of the log option ``tag``: the part of Go's text/template that tags use.

Fields (``{{.Name}}``), strings, whole numbers, calls and pipelines of Docker's functions, ``index`` and ``printf`` with
``%s``, ``%d``, ``%v`` and ``%q``; no conditions and no loops.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from wire.errors import InvalidArgument

_ACTION: Final = re.compile(r"\{\{(- )?(.*?)( -)?\}\}", re.DOTALL)
_TOKEN: Final = re.compile(
    r"""\s*("(?:[^"\\]|\\.)*"|`[^`]*`|[()|]|-?\d+|\.?[A-Za-z_][A-Za-z0-9_]*)"""
)
_VERB: Final = re.compile(r"%(-?\d*(?:\.\d+)?)([sdvq%])")


def render(template: str, values: Mapping[str, Any]) -> str:
    """The tag; raises InvalidArgument for what is no template, or not one of these."""
    out, at = [], 0
    for action in _ACTION.finditer(template):
        text = template[at : action.start()]
        out += [text.rstrip() if action[1] else text, _shown(_Parser(action[2], values).value())]
        at = action.end()
        if action[3]:
            at += len(template[at:]) - len(template[at:].lstrip())
    rest = template[at:]
    if "{{" in rest:
        raise _refused("unclosed action")
    return "".join(out) + rest


def _refused(why: str) -> InvalidArgument:
    return InvalidArgument(f"template: log-tag:1: {why}")


class _Parser:
    """One action, evaluated while it is read."""

    def __init__(self, text: str, values: Mapping[str, Any]) -> None:
        self._values = values
        self._tokens: list[str] = []
        text, at = text.strip(), 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise _refused(f"unexpected {text[at:]!r} in command")
            self._tokens.append(found[1])
            at = found.end()

    def value(self) -> Any:
        """Of the whole action."""
        found = self._pipeline()
        if self._tokens:
            raise _refused(f"unexpected {self._tokens[0]!r} in command")
        return found

    def _pipeline(self) -> Any:
        found = self._command([])
        while self._tokens and self._tokens[0] == "|":
            self._tokens.pop(0)
            found = self._command([found])
        return found

    def _command(self, piped: list[Any]) -> Any:
        if not self._tokens:
            raise _refused("missing value for command")
        word = self._tokens[0]
        if word[0].isalpha() or word[0] == "_":
            self._tokens.pop(0)
            function = _FUNCTIONS.get(word)
            if function is None:
                raise _refused(f'function "{word}" not defined')
            arguments = []
            while self._tokens and self._tokens[0] not in {"|", ")"}:
                arguments.append(self._operand())
            try:
                return function(*arguments, *piped)
            except (TypeError, ValueError, IndexError, AttributeError) as error:
                raise _refused(f"error calling {word}: {error}") from None
        if piped:
            raise _refused(f"non executable command in pipeline: {word}")
        return self._operand()

    def _operand(self) -> Any:
        word = self._tokens.pop(0)
        if word == "(":
            found = self._pipeline()
            if not self._tokens or self._tokens.pop(0) != ")":
                raise _refused("unclosed left paren")
            return found
        if word.startswith("."):
            if word[1:] not in self._values:
                raise _refused(f"can't evaluate field {word[1:]} in type *logger.Info")
            return self._values[word[1:]]
        if word.startswith('"'):
            return json.loads(word)
        if word.startswith("`"):
            return word[1:-1]
        try:
            return int(word)
        except ValueError:
            raise _refused(f"unexpected {word!r} in operand") from None


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{value[key]}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(str, value))}]"
    return str(value)


def _index(value: Any, key: Any) -> Any:
    return value.get(key, "") if isinstance(value, dict) else value[key]


def _pad(text: str, before: int, after: int) -> str:
    return f"{' ' * before}{text}{' ' * after}" if text else text


def _printf(form: str, *values: Any) -> str:
    left = list(values)

    def verb(found: re.Match[str]) -> str:
        if found[2] == "%":
            return "%"
        value = left.pop(0)
        if found[2] == "q":
            return json.dumps(str(value), ensure_ascii=False)
        return f"%{found[1]}{'d' if found[2] == 'd' else 's'}" % (
            value if found[2] == "d" else _shown(value),
        )

    return _VERB.sub(verb, form)


_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "json": lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":")),
    "split": lambda text, by: text.split(by),
    "join": lambda parts, by: by.join(parts),
    "title": lambda text: text.title(),
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "pad": _pad,
    "truncate": lambda text, most: text[:most],
    "index": _index,
    "printf": _printf,
    "print": lambda *values: "".join(_shown(value) for value in values),
}
