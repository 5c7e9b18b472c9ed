"""JSON that strangers wrote, read as Go reads it, so that whatever is read can be written again.

Python's own takes numbers that are none, gives up on depth with an error of another kind, and keeps halves of surrogate
pairs, which no encoder of UTF-8 takes: one label of one container would keep the whole list from being shown.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

_ESCAPED_HALF: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_HALF: Final = re.compile("[\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"


def loads(data: bytes | bytearray | str, *, unique: bool = False) -> Any:
    """The value; raises ValueError for what is no JSON, too deep, or has a number too large for a float.

    With ``unique`` an object that has a name twice is refused: decoders differ in which of the two they take.
    """
    raw = data.encode() if isinstance(data, str) else data
    text = data if isinstance(data, str) else data.decode()
    try:
        found = json.loads(
            text,
            parse_constant=_refuse,
            parse_float=_number,
            object_pairs_hook=_unique if unique else None,
        )
        return mended(found) if _ESCAPED_HALF.search(raw) else found
    except RecursionError:
        raise ValueError("exceeded max depth") from None


def mended(value: Any) -> Any:
    """The same with U+FFFD for halves of pairs; raises RecursionError for what is too deep."""
    if isinstance(value, str):
        return _HALF.sub(_REPLACEMENT, value)
    if isinstance(value, list):
        return [mended(each) for each in value]
    if isinstance(value, dict):
        return {mended(key): mended(each) for key, each in value.items()}
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"duplicate field {name!r}")
            seen.add(name)
    return value


def _refuse(text: str) -> float:
    raise ValueError(f"invalid character '{text[0]}' looking for beginning of value")


def _number(text: str) -> float:
    found = float(text)
    if math.isinf(found):
        raise ValueError(f"cannot unmarshal number {text} into Go value of type float64")
    return found
