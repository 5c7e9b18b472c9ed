"""The types of what clients send, checked before anything looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from wire.errors import InvalidArgument

_LARGEST: Final = 1 << 63
_MOST_DIGITS: Final = 19
_NAMES: Final = {
    str: "string",
    bool: "bool",
    int: "number",
    float: "number",
    list: "array",
    dict: "object",
}


def is_number(text: str) -> bool:
    """Digits that ``int`` takes: not what else Unicode calls a digit, and not more than 64 bits have."""
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def check_fields(struct: str, fields: Mapping[str, str], document: dict[str, Any]) -> None:
    """Give known fields their names, which clients may write in any case, and check their values.

    Raises InvalidArgument, in the words of Go's decoder, for a field that is not of the kind that the table says.

    Kinds are ``string``, ``bool``, ``int``, ``object``, ``command`` (a string or a list), ``list of strings``, ``list of
    lists of strings``, ``map of strings`` and so on. Null means absent everywhere; in a map of strings it becomes the
    empty string, as in Go.
    """
    _fold(fields, document)
    for name, value in document.items():
        kind = fields.get(name)
        if kind == "map of strings" and isinstance(value, dict):
            value.update({key: "" for key, each in value.items() if each is None})
        if kind is not None and value is not None and not _is(kind, value):
            given = _NAMES.get(type(value), "value")
            raise InvalidArgument(
                f"invalid JSON: json: cannot unmarshal {given} into Go struct field {struct}.{name} of type {kind}"
            )


def _fold(fields: Mapping[str, str], document: dict[str, Any]) -> None:
    unknown = [name for name in document if name not in fields]
    if unknown:
        known = {_folded(name): name for name in fields}
        for name in unknown:
            if (meant := known.get(_folded(name))) is None:
                continue
            if meant in document:
                # Decoders differ in which of the two they take: what an authorization plugin has allowed must be what is done.
                raise InvalidArgument(f"invalid JSON: duplicate field {name!r}")
            document[meant] = document.pop(name)


def _folded(name: str) -> str:
    """As Go compares names: its simple folding has two more letters for the ASCII ones."""
    return name.lower().replace("\u017f", "s").replace("\u212a", "k")


def _is(kind: str, value: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST
        case "object":
            return isinstance(value, dict)
        case "command":
            return isinstance(value, str) or _is("list of strings", value)
        case _:
            return _is_collection(kind, value)


def _is_collection(kind: str, value: Any) -> bool:
    match kind.split():
        case ["list", "of", of, *rest]:
            one = " ".join((of.removesuffix("s"), *rest))
            return isinstance(value, list) and all(_is(one, each) for each in value)
        case ["map", "of", "lists"]:
            return isinstance(value, dict) and all(
                each is None or _is("list of objects", each) for each in value.values()
            )
        case ["map", "of", of]:
            return isinstance(value, dict) and all(
                each is None or _is(of.removesuffix("s"), each) for each in value.values()
            )
        case _:
            raise ValueError(kind)
