"""Values of options: from the text of a flag, and from JSON, with the original's messages for what does not fit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any, Final

from dockerd.config import DEFAULT_RUNTIME
from dockerd.configuration.options import Kind, Option
from wire.errors import InvalidArgument

_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?) ?([bkmgtp]?)i?b?", re.IGNORECASE)
_UNITS: Final = "bkmgtp"
_INTEGER: Final = re.compile(r"[+-]?\d+")
_ULIMITS: Final = frozenset(
    {
        "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime",
        "sigpending", "stack",
    }
)  # fmt: skip


def boolean(text: str) -> bool:
    """Raises InvalidArgument in Go's words."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise InvalidArgument(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def integer(text: str) -> int:
    """Raises InvalidArgument in Go's words."""
    if not _INTEGER.fullmatch(text):
        raise InvalidArgument(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def size(text: str) -> int:
    """``64m`` in bytes; raises InvalidArgument."""
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise InvalidArgument(f"invalid size: '{text}'")
    return int(float(found[1]) * 1024 ** max(0, _UNITS.index((found[2] or "b").lower())))


def of_flag(option: Option, text: str, before: Any) -> Any:
    """What a flag's text means, after what the same flag said ``before``; raises InvalidArgument."""
    match option.kind:
        case Kind.BOOLEAN:
            return boolean(text)
        case Kind.INTEGER:
            return integer(text)
        case Kind.TEXT:
            return text
        case Kind.SIZE:
            return size(text)
        case Kind.LIST:
            return (*before, *(text.split(",") if option.key == "dns" else (text,)))
        case Kind.POOLS:
            return (*before, _pool(text))
        case Kind.OBJECT:
            raise InvalidArgument(f"{option.key} is an option of the configuration file alone")
        case _:
            return _with_entry(option.kind, text, dict(before))


def _with_entry(kind: Kind, text: str, found: dict[str, Any]) -> dict[str, Any]:
    name, separator, rest = text.partition("=")
    match kind:
        case Kind.SWITCHES:
            found[name] = boolean(rest) if separator else True
        case Kind.NESTED:
            key, inner, value = rest.partition("=")
            if not separator or not inner:
                raise InvalidArgument(
                    f'invalid value "{text}" for map option, should be root-key=key=value'
                )
            found[name] = {**found.get(name, {}), key: value}
        case Kind.ULIMITS:
            limit = _ulimit(text)
            found[limit["Name"]] = limit
        case Kind.RUNTIMES:
            name, rest = name.strip().lower(), rest.strip()
            if not name or not rest:
                raise InvalidArgument(f"invalid runtime argument: {text}")
            if name == DEFAULT_RUNTIME:
                raise InvalidArgument(f"runtime name '{DEFAULT_RUNTIME}' is reserved")
            if name in found:
                raise InvalidArgument(f"runtime '{name}' was already defined")
            found[name] = {"path": rest}
        case _:
            found[name] = rest
    return found


def _pool(text: str) -> tuple[str, int]:
    base, length = "", 0
    for field in text.lower().split(","):
        key, separator, value = field.partition("=")
        if not separator:
            raise InvalidArgument(f"invalid field '{field}' must be a key=value pair")
        if key == "base":
            base = _prefix(value)
        elif key == "size":
            if not value.isdigit():
                raise InvalidArgument(f'invalid size value: "{text}" (must be integer)')
            length = int(value)
        else:
            raise InvalidArgument(f"unexpected key '{key}' in '{field}'")
    return _checked_pool(base, length)


def _prefix(text: str) -> str:
    try:
        if "/" not in text:
            raise ValueError("no '/'")
        return str(ip_network(text, strict=False))
    except ValueError as error:
        raise InvalidArgument(f'invalid base prefix "{text}": {error}') from None


def _checked_pool(base: str, length: int) -> tuple[str, int]:
    if not base:
        raise InvalidArgument("invalid default address pool: a base is needed")
    network = ip_network(base)
    if not network.prefixlen <= length <= network.max_prefixlen:
        raise InvalidArgument(
            f"invalid pool size: {length} (must be between {network.prefixlen} and {network.max_prefixlen})"
        )
    return base, length


def _ulimit(text: str) -> dict[str, Any]:
    name, separator, rest = text.partition("=")
    if not separator:
        raise InvalidArgument(f"invalid ulimit argument: {text}")
    parts = rest.split(":")
    if len(parts) > 2:
        raise InvalidArgument(
            f"too many limit value arguments - {rest}, can only have up to two, `soft[:hard]`"
        )
    return ulimit(name, integer(parts[0]), integer(parts[-1]))


def ulimit(name: str, soft: int, hard: int) -> dict[str, Any]:
    """One entry of HostConfig.Ulimits; raises InvalidArgument for limits that contradict each other."""
    if name not in _ULIMITS:
        raise InvalidArgument(f"invalid ulimit type: {name}")
    words = "ulimit soft limit must be less than or equal to hard limit"
    if hard != -1 and soft == -1:
        raise InvalidArgument(f"{words}: soft: -1 (unlimited), hard: {hard}")
    if hard != -1 and soft > hard:
        raise InvalidArgument(f"{words}: {soft} > {hard}")
    return {"Name": name, "Soft": soft, "Hard": hard}


def of_json(option: Option, value: Any) -> Any:
    """What a value of the file means; raises InvalidArgument in the words of Go's decoder."""
    key = option.key
    match option.kind:
        case Kind.BOOLEAN:
            return _typed(key, value, bool, "bool")
        case Kind.INTEGER:
            return _typed(key, value, int, "int")
        case Kind.TEXT:
            return _typed(key, value, str, "string")
        case Kind.SIZE:
            if not isinstance(value, str):
                raise InvalidArgument(f'invalid size: "{shown(value)}"')
            return size(value)
        case Kind.LIST:
            return tuple(_typed(key, each, str, "string") for each in _list(key, value))
        case Kind.POOLS:
            return tuple(_json_pool(key, each) for each in _list(key, value))
        case Kind.OBJECT:
            return _object(key, value)
        case Kind.MAP:
            return _members(key, value, str, "string")
        case Kind.SWITCHES:
            return _members(key, value, bool, "bool")
        case Kind.NESTED:
            return {
                name: _members(key, each, str, "string")
                for name, each in _object(key, value).items()
            }
        case Kind.RUNTIMES:
            return {name: _object(key, each) for name, each in _object(key, value).items()}
        case Kind.ULIMITS:
            return {
                name: _json_ulimit(key, name, each) for name, each in _object(key, value).items()
            }


def _json_pool(key: str, value: Any) -> tuple[str, int]:
    entry = _object(key, value)
    return _checked_pool(
        _prefix(_typed(key, entry.get("base", ""), str, "string")),
        _typed(key, entry.get("size", 0), int, "int"),
    )


def _json_ulimit(key: str, name: str, value: Any) -> dict[str, Any]:
    entry = {member.lower(): each for member, each in _object(key, value).items()}
    soft = _typed(key, entry.get("soft", 0), int, "int64")
    hard = _typed(key, entry.get("hard", 0), int, "int64")
    return ulimit(_typed(key, entry.get("name") or name, str, "string"), soft, hard)


def _members(key: str, value: Any, kind: type, name: str) -> dict[str, Any]:
    return {member: _typed(key, each, kind, name) for member, each in _object(key, value).items()}


def _object(key: str, value: Any) -> dict[str, Any]:
    found: dict[str, Any] = _typed(key, value, dict, "map")
    return found


def _list(key: str, value: Any) -> list[Any]:
    found: list[Any] = _typed(key, value, list, "[]string")
    return found


_GO: Final = {
    bool: "bool",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def _typed(key: str, value: Any, kind: type, name: str) -> Any:
    # A JSON true is no number, although Python's is.
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    if value is None:
        return kind()
    raise InvalidArgument(
        f"json: cannot unmarshal {_GO[type(value)]} into Go struct field Config.{key} of type {name}"
    )


def shown(value: Any) -> str:
    """A value as Go prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return f"map[{' '.join(f'{key}:{shown(each)}' for key, each in sorted(value.items()))}]"
    if isinstance(value, list | tuple):
        return f"[{' '.join(shown(each) for each in value)}]"
    return str(value)
