"""Messages of containerd/types/event.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message
from wire.gen.google.protobuf.any_msg import *
from wire.gen.google.protobuf.timestamp_msg import *


class Envelope(Message):
    NAME = "containerd.types.Envelope"
    FIELDS = {
        1: ("timestamp", MESSAGE, False, Timestamp),
        2: ("namespace", STRING, False, None),
        3: ("topic", STRING, False, None),
        4: ("event", MESSAGE, False, Any),
    }
    timestamp: Timestamp
    namespace: str = ""
    topic: str = ""
    event: Any
