"""The stdio fields of a request: paths and URIs, in containerd's forms and ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from wire.errors import InvalidArgument

SCHEMES: Final = frozenset({"", "fifo", "file", "json-file", "attach"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a stream goes: ``scheme`` is empty for none, ``fifo`` for a bare path."""

    scheme: str = ""
    path: str = ""
    max_size: int = 0
    max_file: int = 1
    attach: str = ""
    once: bool = False


def parse(text: str) -> Target:
    """Raises InvalidArgument for a scheme or parameter that is not understood."""
    if not text:
        return Target()
    if "://" not in text:
        return Target(scheme="fifo", path=text)
    parts = urlsplit(text)
    if parts.scheme not in SCHEMES:
        raise InvalidArgument(f"stdio scheme {parts.scheme!r} is not supported")
    values = {key: each[-1] for key, each in parse_qs(parts.query, keep_blank_values=True).items()}
    target = Target(
        scheme=parts.scheme,
        path=unquote(parts.path),
        max_size=_number("max-size", values.pop("max-size", "0")),
        max_file=_number("max-file", values.pop("max-file", "1")),
        attach=values.pop("attach", ""),
        once=values.pop("once", "") == "1",
    )
    if values:
        raise InvalidArgument(f"stdio parameter {next(iter(values))!r} is not supported")
    return target


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(f"stdio parameter {name}={text!r} is not a number") from None
