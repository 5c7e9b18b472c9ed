"""Types in a line: ``string``, ``int``, ``[string]``, ``{Endpoint}``, ``Endpoint?`` as JSON schema.

``[x]`` is a list, ``{x}`` an object whose members are x, ``x?`` may be null, a capital letter begins the name of a model.
Requests are described by the words of the tables that check them, such as ``list of strings``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]
Model = Mapping[str, str]

_PLAIN: Final[Mapping[str, Schema]] = {
    "string": {"type": "string"},
    "int": {"type": "integer"},
    "number": {"type": "number"},
    "bool": {"type": "boolean"},
    "object": {"type": "object"},
    "any": {},
    "null": {"type": "null"},
}
_COMMAND: Final[Schema] = {
    "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}, {"type": "null"}]
}
_LARGEST: Final = (1 << 63) - 1


def schema(kind: str) -> Schema:
    """The JSON schema of a type."""
    if kind.endswith("?"):
        return {"anyOf": [schema(kind[:-1]), {"type": "null"}]}
    if kind.startswith("["):
        return {"type": "array", "items": schema(kind[1:-1])}
    if kind.startswith("{"):
        return {"type": "object", "additionalProperties": schema(kind[1:-1])}
    if kind in _PLAIN:
        return dict(_PLAIN[kind])
    return {"$ref": f"#/components/schemas/{kind}"}


def model(fields: Model) -> Schema:
    """The schema of an object with such fields. A field whose name ends with ``*`` is not always there."""
    return {
        "type": "object",
        "properties": {name.rstrip("*"): schema(kind) for name, kind in fields.items()},
        "required": [name for name in fields if not name.endswith("*")],
    }


def request(fields: Model, nested: Mapping[str, str] | None = None) -> Schema:
    """The schema of what a client sends: nothing is required, and null is as good as nothing.

    ``nested`` names the models of fields that are objects or collections of them.
    """
    named = nested or {}
    return {
        "type": "object",
        "properties": {name: _asked(kind, named.get(name, "")) for name, kind in fields.items()},
    }


def _asked(kind: str, of: str) -> Schema:
    if kind == "command":
        return dict(_COMMAND)
    if kind.startswith("list of "):
        found: Schema = {"type": "array", "items": _one(kind.removeprefix("list of "), of)}
    elif kind.startswith("map of "):
        found = {"type": "object", "additionalProperties": _one(kind.removeprefix("map of "), of)}
    else:
        found = _one(f"{kind}s", of)
    return {"anyOf": [found, {"type": "null"}]}


def _one(kinds: str, of: str) -> Schema:
    """One of ``strings``, ``ints``, ``objects``, ``lists of strings``…"""
    if kinds.startswith("lists of "):
        return {"type": "array", "items": _one(kinds.removeprefix("lists of "), of)}
    if kinds == "lists":
        return {"anyOf": [{"type": "array", "items": schema(of or "object")}, {"type": "null"}]}
    if kinds == "objects":
        return schema(of or "object")
    found = schema(kinds.removesuffix("s"))
    if kinds == "ints":
        found |= {"minimum": -_LARGEST, "maximum": _LARGEST}
    return found
