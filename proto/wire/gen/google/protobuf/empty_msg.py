"""Messages of google/protobuf/empty.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message


class Empty(Message):
    NAME = "google.protobuf.Empty"
    FIELDS = {
    }
