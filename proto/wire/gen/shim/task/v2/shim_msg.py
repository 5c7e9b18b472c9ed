"""Messages of shim/task/v2/shim.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message
from wire.gen.containerd.types.mount_msg import *
from wire.gen.containerd.types.task.task_msg import *
from wire.gen.google.protobuf.any_msg import *
from wire.gen.google.protobuf.empty_msg import *
from wire.gen.google.protobuf.timestamp_msg import *


class CreateTaskRequest(Message):
    NAME = "containerd.task.v2.CreateTaskRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
        2: ("bundle", STRING, False, None),
        3: ("rootfs", MESSAGE, True, Mount),
        4: ("terminal", BOOL, False, None),
        5: ("stdin", STRING, False, None),
        6: ("stdout", STRING, False, None),
        7: ("stderr", STRING, False, None),
        8: ("checkpoint", STRING, False, None),
        9: ("parent_checkpoint", STRING, False, None),
        10: ("options", MESSAGE, False, Any),
    }
    id: str = ""
    bundle: str = ""
    rootfs: list[Mount]
    terminal: bool = False
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    checkpoint: str = ""
    parent_checkpoint: str = ""
    options: Any


class CreateTaskResponse(Message):
    NAME = "containerd.task.v2.CreateTaskResponse"
    FIELDS = {
        1: ("pid", UNSIGNED, False, None),
    }
    pid: int = 0


class DeleteRequest(Message):
    NAME = "containerd.task.v2.DeleteRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
        2: ("exec_id", STRING, False, None),
    }
    id: str = ""
    exec_id: str = ""


class DeleteResponse(Message):
    NAME = "containerd.task.v2.DeleteResponse"
    FIELDS = {
        1: ("pid", UNSIGNED, False, None),
        2: ("exit_status", UNSIGNED, False, None),
        3: ("exited_at", MESSAGE, False, Timestamp),
    }
    pid: int = 0
    exit_status: int = 0
    exited_at: Timestamp


class ExecProcessRequest(Message):
    NAME = "containerd.task.v2.ExecProcessRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
        2: ("exec_id", STRING, False, None),
        3: ("terminal", BOOL, False, None),
        4: ("stdin", STRING, False, None),
        5: ("stdout", STRING, False, None),
        6: ("stderr", STRING, False, None),
        7: ("spec", MESSAGE, False, Any),
    }
    id: str = ""
    exec_id: str = ""
    terminal: bool = False
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    spec: Any


class ExecProcessResponse(Message):
    NAME = "containerd.task.v2.ExecProcessResponse"
    FIELDS = {
    }


class ResizePtyRequest(Message):
    NAME = "containerd.task.v2.ResizePtyRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
        2: ("exec_id", STRING, False, None),
        3: ("width", UNSIGNED, False, None),
        4: ("height", UNSIGNED, False, None),
    }
    id: str = ""
    exec_id: str = ""
    width: int = 0
    height: int = 0


class StateRequest(Message):
    NAME = "containerd.task.v2.StateRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
        2: ("exec_id", STRING, False, None),
    }
    id: str = ""
    exec_id: str = ""


class StateResponse(Message):
    NAME = "containerd.task.v2.StateResponse"
    FIELDS = {
        1: ("id", STRING, False, None),
        2: ("bundle", STRING, False, None),
        3: ("pid", UNSIGNED, False, None),
        4: ("status", ENUM, False, None),
        5: ("stdin", STRING, False, None),
        6: ("stdout", STRING, False, None),
        7: ("stderr", STRING, False, None),
        8: ("terminal", BOOL, False, None),
        9: ("exit_status", UNSIGNED, False, None),
        10: ("exited_at", MESSAGE, False, Timestamp),
        11: ("exec_id", STRING, False, None),
    }
    id: str = ""
    bundle: str = ""
    pid: int = 0
    status: int = 0
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""
    terminal: bool = False
    exit_status: int = 0
    exited_at: Timestamp
    exec_id: str = ""


class KillRequest(Message):
    NAME = "containerd.task.v2.KillRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
        2: ("exec_id", STRING, False, None),
        3: ("signal", UNSIGNED, False, None),
        4: ("all", BOOL, False, None),
    }
    id: str = ""
    exec_id: str = ""
    signal: int = 0
    all: bool = False


class CloseIORequest(Message):
    NAME = "containerd.task.v2.CloseIORequest"
    FIELDS = {
        1: ("id", STRING, False, None),
        2: ("exec_id", STRING, False, None),
        3: ("stdin", BOOL, False, None),
    }
    id: str = ""
    exec_id: str = ""
    stdin: bool = False


class PidsRequest(Message):
    NAME = "containerd.task.v2.PidsRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
    }
    id: str = ""


class PidsResponse(Message):
    NAME = "containerd.task.v2.PidsResponse"
    FIELDS = {
        1: ("processes", MESSAGE, True, ProcessInfo),
    }
    processes: list[ProcessInfo]


class CheckpointTaskRequest(Message):
    NAME = "containerd.task.v2.CheckpointTaskRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
        2: ("path", STRING, False, None),
        3: ("options", MESSAGE, False, Any),
    }
    id: str = ""
    path: str = ""
    options: Any


class UpdateTaskRequest(Message):
    NAME = "containerd.task.v2.UpdateTaskRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
        2: ("resources", MESSAGE, False, Any),
        3: ("annotations", STRING_MAP, False, None),
    }
    id: str = ""
    resources: Any
    annotations: dict[str, str]


class StartRequest(Message):
    NAME = "containerd.task.v2.StartRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
        2: ("exec_id", STRING, False, None),
    }
    id: str = ""
    exec_id: str = ""


class StartResponse(Message):
    NAME = "containerd.task.v2.StartResponse"
    FIELDS = {
        1: ("pid", UNSIGNED, False, None),
    }
    pid: int = 0


class WaitRequest(Message):
    NAME = "containerd.task.v2.WaitRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
        2: ("exec_id", STRING, False, None),
    }
    id: str = ""
    exec_id: str = ""


class WaitResponse(Message):
    NAME = "containerd.task.v2.WaitResponse"
    FIELDS = {
        1: ("exit_status", UNSIGNED, False, None),
        2: ("exited_at", MESSAGE, False, Timestamp),
    }
    exit_status: int = 0
    exited_at: Timestamp


class StatsRequest(Message):
    NAME = "containerd.task.v2.StatsRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
    }
    id: str = ""


class StatsResponse(Message):
    NAME = "containerd.task.v2.StatsResponse"
    FIELDS = {
        1: ("stats", MESSAGE, False, Any),
    }
    stats: Any


class ConnectRequest(Message):
    NAME = "containerd.task.v2.ConnectRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
    }
    id: str = ""


class ConnectResponse(Message):
    NAME = "containerd.task.v2.ConnectResponse"
    FIELDS = {
        1: ("shim_pid", UNSIGNED, False, None),
        2: ("task_pid", UNSIGNED, False, None),
        3: ("version", STRING, False, None),
    }
    shim_pid: int = 0
    task_pid: int = 0
    version: str = ""


class ShutdownRequest(Message):
    NAME = "containerd.task.v2.ShutdownRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
        2: ("now", BOOL, False, None),
    }
    id: str = ""
    now: bool = False


class PauseRequest(Message):
    NAME = "containerd.task.v2.PauseRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
    }
    id: str = ""


class ResumeRequest(Message):
    NAME = "containerd.task.v2.ResumeRequest"
    FIELDS = {
        1: ("id", STRING, False, None),
    }
    id: str = ""
