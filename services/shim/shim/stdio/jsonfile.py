"""Docker's json-file log, written chunk-wise: one JSON object a line, rotated by size."""

from __future__ import annotations

import contextlib
import json
import os
from json.encoder import encode_basestring

from shim.stdio.lines import LONGEST, timestamp
from shim.stdio.rotating import RotatingLog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

__all__ = ["LONGEST", "JsonFile", "timestamp"]

_SPECIAL: Final = (
    ("<", "\\u003c"),
    (">", "\\u003e"),
    ("&", "\\u0026"),
    ("\u2028", "\\u2028"),
    ("\u2029", "\\u2029"),
)


class JsonFile(RotatingLog):
    """The log of one container; both streams write to it."""

    def __init__(
        self,
        path: str,
        max_size: int,
        max_file: int,
        *,
        compress: bool = False,
        attributes: str = "",
    ) -> None:
        """``attributes`` is a JSON object that every record has, or nothing."""
        self._attributes = f',"attrs":{attributes}' if attributes else ""
        super().__init__(path, max_size, max_file, compress=compress)

    def replay(self, send: Callable[[str, bytes], None]) -> None:
        """Hand every record that is in the files to ``send(stream, text)``, oldest first."""
        for content in self.contents():
            for line in content.splitlines():
                with contextlib.suppress(ValueError, KeyError):
                    record = json.loads(line)
                    send(record["stream"], record["log"].encode())

    def append(self, stream: str, records: list[bytes]) -> None:
        """Encode and write records."""
        tail = f',"stream":"{stream}"{self._attributes},"time":"{timestamp()}"}}\n'
        text = "".join(
            f'{{"log":{encode_basestring(record.decode("utf-8", "replace"))}{tail}'
            for record in records
        )
        for plain, escaped in _SPECIAL:
            if plain in text:
                text = text.replace(plain, escaped)
        self.store(text.encode())

    def split(self, data: bytes) -> list[bytes]:
        """One object a line."""
        return data.splitlines(keepends=True)

    def _mend(self) -> None:
        """End a line that a writer before us left torn: a reader skips it, and ours begin on their own."""
        if self._size and os.pread(self._descriptor, 1, self._size - 1) != b"\n":
            self._flush(b"\n")
