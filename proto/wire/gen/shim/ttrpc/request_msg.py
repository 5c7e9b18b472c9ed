"""Messages of shim/ttrpc/request.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message
from wire.gen.google.rpc.status_msg import *


class KeyValue(Message):
    NAME = "ttrpc.KeyValue"
    FIELDS = {
        1: ("key", STRING, False, None),
        2: ("value", STRING, False, None),
    }
    key: str = ""
    value: str = ""


class Request(Message):
    NAME = "ttrpc.Request"
    FIELDS = {
        1: ("service", STRING, False, None),
        2: ("method", STRING, False, None),
        3: ("payload", BYTES, False, None),
        4: ("timeout_nano", SIGNED64, False, None),
        5: ("metadata", MESSAGE, True, KeyValue),
    }
    service: str = ""
    method: str = ""
    payload: bytes = b""
    timeout_nano: int = 0
    metadata: list[KeyValue]


class Response(Message):
    NAME = "ttrpc.Response"
    FIELDS = {
        1: ("status", MESSAGE, False, Status),
        2: ("payload", BYTES, False, None),
    }
    status: Status
    payload: bytes = b""
