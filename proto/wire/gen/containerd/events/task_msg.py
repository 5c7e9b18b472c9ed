"""Messages of containerd/events/task.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message
from wire.gen.containerd.types.mount_msg import *
from wire.gen.google.protobuf.timestamp_msg import *


class TaskIO(Message):
    NAME = "containerd.events.TaskIO"
    FIELDS = {
        1: ("stdin", STRING, False, None),
        2: ("stdout", STRING, False, None),
        3: ("stderr", STRING, False, None),
        4: ("terminal", BOOL, False, None),
    }
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    terminal: bool = False


class TaskCreate(Message):
    NAME = "containerd.events.TaskCreate"
    FIELDS = {
        1: ("container_id", STRING, False, None),
        2: ("bundle", STRING, False, None),
        3: ("rootfs", MESSAGE, True, Mount),
        4: ("io", MESSAGE, False, TaskIO),
        5: ("checkpoint", STRING, False, None),
        6: ("pid", UNSIGNED, False, None),
    }
    container_id: str = ""
    bundle: str = ""
    rootfs: list[Mount]
    io: TaskIO
    checkpoint: str = ""
    pid: int = 0


class TaskStart(Message):
    NAME = "containerd.events.TaskStart"
    FIELDS = {
        1: ("container_id", STRING, False, None),
        2: ("pid", UNSIGNED, False, None),
    }
    container_id: str = ""
    pid: int = 0


class TaskDelete(Message):
    NAME = "containerd.events.TaskDelete"
    FIELDS = {
        1: ("container_id", STRING, False, None),
        2: ("pid", UNSIGNED, False, None),
        3: ("exit_status", UNSIGNED, False, None),
        4: ("exited_at", MESSAGE, False, Timestamp),
        5: ("id", STRING, False, None),
    }
    container_id: str = ""
    pid: int = 0
    exit_status: int = 0
    exited_at: Timestamp
    id: str = ""


class TaskExit(Message):
    NAME = "containerd.events.TaskExit"
    FIELDS = {
        1: ("container_id", STRING, False, None),
        2: ("id", STRING, False, None),
        3: ("pid", UNSIGNED, False, None),
        4: ("exit_status", UNSIGNED, False, None),
        5: ("exited_at", MESSAGE, False, Timestamp),
    }
    container_id: str = ""
    id: str = ""
    pid: int = 0
    exit_status: int = 0
    exited_at: Timestamp


class TaskOOM(Message):
    NAME = "containerd.events.TaskOOM"
    FIELDS = {
        1: ("container_id", STRING, False, None),
    }
    container_id: str = ""


class TaskExecAdded(Message):
    NAME = "containerd.events.TaskExecAdded"
    FIELDS = {
        1: ("container_id", STRING, False, None),
        2: ("exec_id", STRING, False, None),
    }
    container_id: str = ""
    exec_id: str = ""


class TaskExecStarted(Message):
    NAME = "containerd.events.TaskExecStarted"
    FIELDS = {
        1: ("container_id", STRING, False, None),
        2: ("exec_id", STRING, False, None),
        3: ("pid", UNSIGNED, False, None),
    }
    container_id: str = ""
    exec_id: str = ""
    pid: int = 0


class TaskPaused(Message):
    NAME = "containerd.events.TaskPaused"
    FIELDS = {
        1: ("container_id", STRING, False, None),
    }
    container_id: str = ""


class TaskResumed(Message):
    NAME = "containerd.events.TaskResumed"
    FIELDS = {
        1: ("container_id", STRING, False, None),
    }
    container_id: str = ""


class TaskCheckpointed(Message):
    NAME = "containerd.events.TaskCheckpointed"
    FIELDS = {
        1: ("container_id", STRING, False, None),
        2: ("checkpoint", STRING, False, None),
    }
    container_id: str = ""
    checkpoint: str = ""
