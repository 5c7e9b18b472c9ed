"""Messages of google/protobuf/any.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message


class Any(Message):
    NAME = "google.protobuf.Any"
    FIELDS = {
        1: ("type_url", STRING, False, None),
        2: ("value", BYTES, False, None),
    }
    type_url: str = ""
    value: bytes = b""
