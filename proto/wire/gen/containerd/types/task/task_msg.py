"""Messages of containerd/types/task/task.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message
from wire.gen.google.protobuf.any_msg import *
from wire.gen.google.protobuf.timestamp_msg import *

UNKNOWN = 0
CREATED = 1
RUNNING = 2
STOPPED = 3
PAUSED = 4
PAUSING = 5


class Process(Message):
    NAME = "containerd.v1.types.Process"
    FIELDS = {
        1: ("container_id", STRING, False, None),
        2: ("id", STRING, False, None),
        3: ("pid", UNSIGNED, False, None),
        4: ("status", ENUM, False, None),
        5: ("stdin", STRING, False, None),
        6: ("stdout", STRING, False, None),
        7: ("stderr", STRING, False, None),
        8: ("terminal", BOOL, False, None),
        9: ("exit_status", UNSIGNED, False, None),
        10: ("exited_at", MESSAGE, False, Timestamp),
    }
    container_id: str = ""
    id: str = ""
    pid: int = 0
    status: int = 0
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    terminal: bool = False
    exit_status: int = 0
    exited_at: Timestamp


class ProcessInfo(Message):
    NAME = "containerd.v1.types.ProcessInfo"
    FIELDS = {
        1: ("pid", UNSIGNED, False, None),
        2: ("info", MESSAGE, False, Any),
    }
    pid: int = 0
    info: Any
