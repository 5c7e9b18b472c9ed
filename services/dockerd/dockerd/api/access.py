"""The access log, which a debugging daemon writes, without what clients trust the daemon with."""

from __future__ import annotations

import logging
import re
from typing import Final

# URLs may have passwords in them, and instructions of a Dockerfile set the environment.
_MASKED: Final = re.compile(
    r"([?&](?:fromSrc|remote|changes|buildargs|cachefrom)=)[^&]*", re.IGNORECASE
)
_PATH: Final = 2


class Masking(logging.Filter):
    """Of uvicorn's records, whose third argument is the path with its query."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Every record is let through."""
        if isinstance(record.args, tuple) and len(record.args) > _PATH:
            record.args = tuple(
                _MASKED.sub(r"\1xxxxx", str(each)) if index == _PATH else each
                for index, each in enumerate(record.args)
            )
        return True
