"""Messages of google/rpc/error_details.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message


class ErrorInfo(Message):
    NAME = "google.rpc.ErrorInfo"
    FIELDS = {
        1: ("reason", STRING, False, None),
        2: ("domain", STRING, False, None),
        3: ("metadata", STRING_MAP, False, None),
    }
    reason: str = ""
    domain: str = ""
    metadata: dict[str, str]
