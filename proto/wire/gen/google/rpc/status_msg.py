"""Messages of google/rpc/status.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message
from wire.gen.google.protobuf.any_msg import *


class Status(Message):
    NAME = "google.rpc.Status"
    FIELDS = {
        1: ("code", SIGNED32, False, None),
        2: ("message", STRING, False, None),
        3: ("details", MESSAGE, True, Any),
    }
    code: int = 0
    message: str = ""
    details: list[Any]
