"""Messages of containerd/types/metrics.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message
from wire.gen.google.protobuf.any_msg import *
from wire.gen.google.protobuf.timestamp_msg import *


class Metric(Message):
    NAME = "containerd.types.Metric"
    FIELDS = {
        1: ("timestamp", MESSAGE, False, Timestamp),
        2: ("id", STRING, False, None),
        3: ("data", MESSAGE, False, Any),
    }
    timestamp: Timestamp
    id: str = ""
    data: Any
