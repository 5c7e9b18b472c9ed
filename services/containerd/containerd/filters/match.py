"""containerd's filter expressions: selectors joined by commas (all must hold), several filters (one must)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from wire.errors import InvalidArgument

# Looks up a field path; None if the object has no such field.
Lookup = Callable[[tuple[str, ...]], str | None]

_PART: Final = re.compile(r'[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"')
_OPERATOR: Final = re.compile(r"==|!=|~=")
_VALUE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[^,]*')
# A pattern may stand between slashes or bars, too.
_PATTERN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)*/|\|(?:[^|\\]|\\.)*\||[^,]*')


@dataclass(frozen=True, slots=True)
class _Selector:
    path: tuple[str, ...]
    operator: str
    value: str

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
                return found is not None and re.search(self.value, found) is not None


class Filter:
    """One or several expressions; no expression matches everything."""

    def __init__(self, expressions: Sequence[str]) -> None:
        """Raises InvalidArgument for text that is no filter."""
        self._alternatives = [_parse(each) for each in expressions if each.strip()]

    def matches(self, lookup: Lookup) -> bool:
        """Whether an object passes."""
        return not self._alternatives or any(
            all(selector.holds(lookup) for selector in selectors)
            for selectors in self._alternatives
        )


def _unquoted(text: str) -> str:
    if text.startswith('"'):
        return str(json.loads(text))
    if text[:1] in {"/", "|"}:
        return text[1:-1]
    return text


def _parse(text: str) -> list[_Selector]:
    selectors = []
    at = 0
    while at < len(text):
        path = []
        while True:
            part = _PART.match(text, at)
            if part is None:
                raise InvalidArgument(
                    f"filters: parse error: [{text} >|{text[at:]}|<]: invalid argument"
                )
            path.append(_unquoted(part[0]))
            at = part.end()
            if text[at : at + 1] != ".":
                break
            at += 1
        operator = value = ""
        found = _OPERATOR.match(text, at)
        if found is not None:
            operator = found[0]
            pattern = operator == "~="
            given = (_PATTERN if pattern else _VALUE).match(text, found.end())
            assert given is not None
            value = given[0]
            if value.startswith('"') or (pattern and value[:1] in {"/", "|"}):
                value = _unquoted(value)
            at = given.end()
        selectors.append(_Selector(tuple(path), operator, value))
        if at < len(text):
            if text[at] != ",":
                raise InvalidArgument(
                    f"filters: parse error: [{text} >|{text[at:]}|<]: invalid argument"
                )
            at += 1
    return selectors
