"""Messages of google/protobuf/timestamp.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message


class Timestamp(Message):
    NAME = "google.protobuf.Timestamp"
    FIELDS = {
        1: ("seconds", SIGNED64, False, None),
        2: ("nanos", SIGNED32, False, None),
    }
    seconds: int = 0
    nanos: int = 0
