"""One record of a log, whatever format it was written in."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Final, Protocol, TypeAlias
from urllib.parse import quote_plus

Time: TypeAlias = bytes | int
"""RFC 3339, UTC, as it stands in the log; or nanoseconds since 1970."""

Entry: TypeAlias = tuple[str, bytes, Time, bytes]
"""Stream, text, time, and attributes as a JSON object or nothing. A plain tuple: there are millions of them."""

_GIGA: Final = 1_000_000_000


class Format(Protocol):
    """How a log is written."""

    def whole(self, data: bytes, /) -> int:
        """How many bytes of whole records are at the beginning of ``data``."""

    def decode(self, data: bytes, /) -> list[Entry]:
        """Whole records; what is none is left out."""

    def last(self, data: bytes, count: int, /) -> tuple[int, int]:
        """Where the last ``count`` whole records of ``data`` begin, and how many there are; ``data`` may begin within one."""


def nanoseconds(moment: Time) -> int:
    """Since 1970; 0 for what is no time."""
    if isinstance(moment, int):
        return moment
    whole, _, fraction = moment.decode("ascii", "replace").rstrip("Z").partition(".")
    try:
        found = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        return int(found.timestamp()) * _GIGA + int(f"{fraction:<09}")
    except ValueError:
        return 0


def shown(moment: Time) -> str:
    """As Docker prints log times: nine digits of a second, so that columns line up."""
    if isinstance(moment, int):
        seconds, fraction = divmod(moment, _GIGA)
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:09}Z"
    whole, _, digits = moment.decode("ascii", "replace").removesuffix("Z").partition(".")
    return f"{whole}.{digits:<09}Z"


def details(attributes: bytes) -> str:
    """As ``docker logs --details`` prints them: sorted, escaped as in a query."""
    try:
        found = json.loads(attributes or b"{}")
    except ValueError:
        return ""
    pairs = sorted(found.items()) if isinstance(found, dict) else ()
    return ",".join(f"{quote_plus(key)}={quote_plus(str(value))}" for key, value in pairs)
