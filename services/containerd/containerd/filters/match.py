"""containerd's filter expressions.

    selectors := selector ("," selector)*          all must hold
    selector  := fieldpath [operator value]        without an operator: the field is there
    fieldpath := field ("." field)*
    field     := quoted | [A-Za-z0-9_]+
    operator  := "==" | "!=" | "~="                the last one is a regular expression
    value     := quoted | [^\\s,]+
    quoted    := a Go string; behind "~=" also between slashes or bars

Of several expressions one must hold; none at all, or an empty one, matches everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from wire.errors import InvalidArgument

# Looks up a field path; None if the object has no such field.
Lookup = Callable[[tuple[str, ...]], str | None]

_FIELD: Final = re.compile(r"[A-Za-z0-9_]+")
_OPERATOR: Final = re.compile(r"[=!~]+")
_VALUE: Final = re.compile(r"[^\s,]+")
_SPACE: Final = re.compile(r"\s*")
_QUOTES: Final = '"/|'
_LONGEST: Final = 1 << 16
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\\"'/|])|x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-7]{3})|(.?))",
    re.DOTALL,
)
_LETTERS: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


@dataclass(frozen=True, slots=True)
class _Selector:
    path: tuple[str, ...]
    operator: str
    value: str
    pattern: re.Pattern[str] | None = None

    def holds(self, lookup: Lookup) -> bool:
        found = lookup(self.path)
        match self.operator:
            case "":
                return found is not None
            case "==":
                return found == self.value
            case "!=":
                return found != self.value
            case _:
                return (
                    found is not None
                    and self.pattern is not None
                    and self.pattern.search(found) is not None
                )


class Filter:
    """One or several expressions."""

    def __init__(self, expressions: Sequence[str]) -> None:
        """Raises InvalidArgument for text that is no filter."""
        self._alternatives = [_Parser(each).parse() if each else [] for each in expressions]

    def matches(self, lookup: Lookup) -> bool:
        """Whether an object passes."""
        return not self._alternatives or any(
            all(selector.holds(lookup) for selector in selectors)
            for selectors in self._alternatives
        )


class _Parser:
    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise InvalidArgument("filters: expression is too long: invalid argument")
        self._text = text
        self._at = 0

    def parse(self) -> list[_Selector]:
        selectors = [self._selector()]
        while self._peek():
            if self._peek() != ",":
                self._fail(f"unexpected input: {self._peek()}")
            self._at += 1
            selectors.append(self._selector())
        return selectors

    def _selector(self) -> _Selector:
        path = [self._field()]
        while self._peek() == ".":
            self._at += 1
            path.append(self._field())
        if self._peek() in {"", ","}:
            return _Selector(tuple(path), "", "")
        found = _OPERATOR.match(self._text, self._at)
        if found is None:
            self._fail('expected an operator ("=="|"!="|"~=")')
        if found[0] not in {"==", "!=", "~="}:
            self._fail(f'unsupported operator "{found[0]}"')
        self._at = found.end()
        value = self._value(alternatives=found[0] == "~=")
        return _Selector(tuple(path), found[0], value, _compiled(found[0], value))

    def _field(self) -> str:
        if self._peek() == '"':
            return self._quoted()
        return self._token(_FIELD, "expected field or quoted")

    def _value(self, *, alternatives: bool) -> str:
        mark = self._peek()
        if mark and mark in _QUOTES:
            if mark != '"' and not alternatives:
                self._fail("invalid quote encountered")
            return self._quoted()
        if not mark or mark in ".,=!~":
            self._fail("expected value or quoted")
        return self._token(_VALUE, "expected value or quoted")

    def _token(self, pattern: re.Pattern[str], message: str) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            self._fail(message)
        self._at = found.end()
        return found[0]

    def _quoted(self) -> str:
        mark = self._text[self._at]
        end = self._at + 1
        while end < len(self._text) and self._text[end] != mark:
            if self._text[end] == "\n" and mark == '"':
                break
            end += 2 if self._text[end] == "\\" else 1
        if end >= len(self._text) or self._text[end] != mark:
            self._fail("quoted literal not terminated")
        inner = self._text[self._at + 1 : end]
        self._at = end + 1
        if mark == '"':
            return _ESCAPE.sub(self._unescaped, inner)
        # A pattern keeps its escapes, but for that of the mark.
        return inner.replace(f"\\{mark}", mark)

    def _unescaped(self, found: re.Match[str]) -> str:
        letter, short, medium, large, octal, _ = found.groups()
        if letter is not None:
            return _LETTERS.get(letter, letter)
        if octal is not None:
            return chr(int(octal, 8))
        code = short or medium or large
        if code is None or int(code, 16) > 0x10FFFF:
            self._fail("unquoting failed: invalid syntax")
        return chr(int(code, 16))

    def _peek(self) -> str:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._text[self._at : self._at + 1]

    def _fail(self, message: str) -> NoReturn:
        text, at = self._text, self._at
        place = f"[{text[:at]} >|{text[at]}|< {text[at + 1 :]}]" if at < len(text) else f"[{text}]"
        raise InvalidArgument(f"filters: parse error: {place}: {message}: invalid argument")


def _compiled(operator: str, value: str) -> re.Pattern[str] | None:
    """A pattern that does not compile matches nothing, as upstream has it."""
    if operator != "~=":
        return None
    try:
        return re.compile(value)
    except re.error:
        return None
