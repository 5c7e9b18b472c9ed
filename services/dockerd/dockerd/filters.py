"""Docker's list filters: keys with alternatives, and its four ways of comparing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from wire.errors import InvalidArgument


class InvalidFilter(InvalidArgument):
    """A filter that is unknown or has a value that it cannot have."""

    def __init__(self, key: str = "", values: Iterable[str] | None = None) -> None:
        text = "invalid filter"
        if key:
            given = "" if values is None else f"=[{' '.join(values)}]"
            text += f" '{key}{given}'"
        super().__init__(text)


class Filters:
    """What a client wants to see. A key without values filters nothing."""

    def __init__(self, values: Mapping[str, Iterable[str]] | None = None) -> None:
        self._values = {key: tuple(found) for key, found in (values or {}).items()}

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __bool__(self) -> bool:
        return bool(self._values)

    def get(self, key: str) -> tuple[str, ...]:
        """The alternatives of a key."""
        return self._values.get(key, ())

    def and_also(self, key: str, value: str) -> Filters:
        """These, with one more value."""
        return Filters({**self._values, key: [*self.get(key), value]})

    def check(self, known: frozenset[str]) -> None:
        """Raises InvalidFilter for a key that is not known."""
        for key in self._values:
            if key not in known:
                raise InvalidFilter(key)

    def exact(self, key: str, text: str) -> bool:
        """One of the values is the text."""
        return not self.get(key) or text in self.get(key)

    def fuzzy(self, key: str, text: str) -> bool:
        """One of the values begins the text."""
        return not self.get(key) or text.startswith(self.get(key))

    def match(self, key: str, *texts: str) -> bool:
        """One of the values is one of the texts, or matches it as a regular expression."""
        values = self.get(key)
        return not values or any(
            value in texts or _matches(value, text) for value in values for text in texts
        )

    def labels(self, labels: Mapping[str, str] | None, key: str = "label") -> bool:
        """Every value, ``name`` or ``name=value``, is among the labels."""
        found = labels or {}
        for value in self.get(key):
            name, equals, wanted = value.partition("=")
            if name not in found or (equals and found[name] != wanted):
                return False
        return True

    def without_labels(self, labels: Mapping[str, str] | None) -> bool:
        """The opposite, for ``label!``: no value is among the labels."""
        return not any(Filters({"label": [value]}).labels(labels) for value in self.get("label!"))

    def boolean(self, key: str, *, default: bool = False) -> bool:
        """True or false; raises InvalidFilter for anything else."""
        if key not in self._values:
            return default
        values = set(self.get(key))
        yes, no = bool(values & {"1", "true"}), bool(values & {"0", "false"})
        if yes == no:
            raise InvalidFilter(key, self.get(key))
        return yes


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return False
