"""Messages of containerd/types/introspection.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message
from wire.gen.google.protobuf.any_msg import *


class RuntimeRequest(Message):
    NAME = "containerd.types.RuntimeRequest"
    FIELDS = {
        1: ("runtime_path", STRING, False, None),
        2: ("options", MESSAGE, False, Any),
    }
    runtime_path: str = ""
    options: Any


class RuntimeVersion(Message):
    NAME = "containerd.types.RuntimeVersion"
    FIELDS = {
        1: ("version", STRING, False, None),
        2: ("revision", STRING, False, None),
    }
    version: str = ""
    revision: str = ""


class RuntimeInfo(Message):
    NAME = "containerd.types.RuntimeInfo"
    FIELDS = {
        1: ("name", STRING, False, None),
        2: ("version", MESSAGE, False, RuntimeVersion),
        3: ("options", MESSAGE, False, Any),
        4: ("features", MESSAGE, False, Any),
        5: ("annotations", STRING_MAP, False, None),
    }
    name: str = ""
    version: RuntimeVersion
    options: Any
    features: Any
    annotations: dict[str, str]
