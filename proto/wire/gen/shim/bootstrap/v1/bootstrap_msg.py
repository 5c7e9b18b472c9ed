"""Messages of shim/bootstrap/v1/bootstrap.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message
from wire.gen.google.protobuf.any_msg import *

LOG_LEVEL_INFO = 0
LOG_LEVEL_TRACE = -8
LOG_LEVEL_DEBUG = -4
LOG_LEVEL_WARN = 4
LOG_LEVEL_ERROR = 8
LOG_LEVEL_FATAL = 10
LOG_LEVEL_PANIC = 12

CAPABILITY_UNSPECIFIED = 0


class Extension(Message):
    NAME = "containerd.runtime.bootstrap.v1.Extension"
    FIELDS = {
        1: ("value", MESSAGE, False, Any),
    }
    value: Any


class BootstrapParams(Message):
    NAME = "containerd.runtime.bootstrap.v1.BootstrapParams"
    FIELDS = {
        1: ("instance_id", STRING, False, None),
        2: ("namespace", STRING, False, None),
        3: ("log_level", ENUM, False, None),
        4: ("containerd_version", STRING, False, None),
        5: ("containerd_ttrpc_address", STRING, False, None),
        6: ("containerd_grpc_address", STRING, False, None),
        7: ("containerd_binary", STRING, False, None),
        8: ("extensions", MESSAGE, True, Extension),
        9: ("socket_dir", STRING, False, None),
    }
    instance_id: str = ""
    namespace: str = ""
    log_level: int = 0
    containerd_version: str = ""
    containerd_ttrpc_address: str = ""
    containerd_grpc_address: str = ""
    containerd_binary: str = ""
    extensions: list[Extension]
    socket_dir: str = ""


class BootstrapResult(Message):
    NAME = "containerd.runtime.bootstrap.v1.BootstrapResult"
    FIELDS = {
        1: ("version", SIGNED32, False, None),
        2: ("address", STRING, False, None),
        3: ("protocol", STRING, False, None),
        4: ("capabilities", ENUM, True, None),
        5: ("metadata", STRING_MAP, False, None),
    }
    version: int = 0
    address: str = ""
    protocol: str = ""
    capabilities: list[int]
    metadata: dict[str, str]
