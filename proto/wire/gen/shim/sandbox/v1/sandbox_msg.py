"""Messages of shim/sandbox/v1/sandbox.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message
from wire.gen.containerd.types.metrics_msg import *
from wire.gen.containerd.types.mount_msg import *
from wire.gen.containerd.types.platform_msg import *
from wire.gen.google.protobuf.any_msg import *
from wire.gen.google.protobuf.timestamp_msg import *


class CreateSandboxRequest(Message):
    NAME = "containerd.runtime.sandbox.v1.CreateSandboxRequest"
    FIELDS = {
        1: ("sandbox_id", STRING, False, None),
        2: ("bundle_path", STRING, False, None),
        3: ("rootfs", MESSAGE, True, Mount),
        4: ("options", MESSAGE, False, Any),
        5: ("netns_path", STRING, False, None),
        6: ("annotations", STRING_MAP, False, None),
    }
    sandbox_id: str = ""
    bundle_path: str = ""
    rootfs: list[Mount]
    options: Any
    netns_path: str = ""
    annotations: dict[str, str]


class CreateSandboxResponse(Message):
    NAME = "containerd.runtime.sandbox.v1.CreateSandboxResponse"
    FIELDS = {
    }


class StartSandboxRequest(Message):
    NAME = "containerd.runtime.sandbox.v1.StartSandboxRequest"
    FIELDS = {
        1: ("sandbox_id", STRING, False, None),
    }
    sandbox_id: str = ""


class StartSandboxResponse(Message):
    NAME = "containerd.runtime.sandbox.v1.StartSandboxResponse"
    FIELDS = {
        1: ("pid", UNSIGNED, False, None),
        2: ("created_at", MESSAGE, False, Timestamp),
        3: ("spec", MESSAGE, False, Any),
    }
    pid: int = 0
    created_at: Timestamp
    spec: Any


class PlatformRequest(Message):
    NAME = "containerd.runtime.sandbox.v1.PlatformRequest"
    FIELDS = {
        1: ("sandbox_id", STRING, False, None),
    }
    sandbox_id: str = ""


class PlatformResponse(Message):
    NAME = "containerd.runtime.sandbox.v1.PlatformResponse"
    FIELDS = {
        1: ("platform", MESSAGE, False, Platform),
    }
    platform: Platform


class StopSandboxRequest(Message):
    NAME = "containerd.runtime.sandbox.v1.StopSandboxRequest"
    FIELDS = {
        1: ("sandbox_id", STRING, False, None),
        2: ("timeout_secs", UNSIGNED, False, None),
    }
    sandbox_id: str = ""
    timeout_secs: int = 0


class StopSandboxResponse(Message):
    NAME = "containerd.runtime.sandbox.v1.StopSandboxResponse"
    FIELDS = {
    }


class UpdateSandboxRequest(Message):
    NAME = "containerd.runtime.sandbox.v1.UpdateSandboxRequest"
    FIELDS = {
        1: ("sandbox_id", STRING, False, None),
        2: ("resources", MESSAGE, False, Any),
        3: ("annotations", STRING_MAP, False, None),
    }
    sandbox_id: str = ""
    resources: Any
    annotations: dict[str, str]


class WaitSandboxRequest(Message):
    NAME = "containerd.runtime.sandbox.v1.WaitSandboxRequest"
    FIELDS = {
        1: ("sandbox_id", STRING, False, None),
    }
    sandbox_id: str = ""


class WaitSandboxResponse(Message):
    NAME = "containerd.runtime.sandbox.v1.WaitSandboxResponse"
    FIELDS = {
        1: ("exit_status", UNSIGNED, False, None),
        2: ("exited_at", MESSAGE, False, Timestamp),
    }
    exit_status: int = 0
    exited_at: Timestamp


class UpdateSandboxResponse(Message):
    NAME = "containerd.runtime.sandbox.v1.UpdateSandboxResponse"
    FIELDS = {
    }


class SandboxStatusRequest(Message):
    NAME = "containerd.runtime.sandbox.v1.SandboxStatusRequest"
    FIELDS = {
        1: ("sandbox_id", STRING, False, None),
        2: ("verbose", BOOL, False, None),
    }
    sandbox_id: str = ""
    verbose: bool = False


class SandboxStatusResponse(Message):
    NAME = "containerd.runtime.sandbox.v1.SandboxStatusResponse"
    FIELDS = {
        1: ("sandbox_id", STRING, False, None),
        2: ("pid", UNSIGNED, False, None),
        3: ("state", STRING, False, None),
        4: ("info", STRING_MAP, False, None),
        5: ("created_at", MESSAGE, False, Timestamp),
        6: ("exited_at", MESSAGE, False, Timestamp),
        7: ("extra", MESSAGE, False, Any),
    }
    sandbox_id: str = ""
    pid: int = 0
    state: str = ""
    info: dict[str, str]
    created_at: Timestamp
    exited_at: Timestamp
    extra: Any


class PingRequest(Message):
    NAME = "containerd.runtime.sandbox.v1.PingRequest"
    FIELDS = {
        1: ("sandbox_id", STRING, False, None),
    }
    sandbox_id: str = ""


class PingResponse(Message):
    NAME = "containerd.runtime.sandbox.v1.PingResponse"
    FIELDS = {
    }


class ShutdownSandboxRequest(Message):
    NAME = "containerd.runtime.sandbox.v1.ShutdownSandboxRequest"
    FIELDS = {
        1: ("sandbox_id", STRING, False, None),
    }
    sandbox_id: str = ""


class ShutdownSandboxResponse(Message):
    NAME = "containerd.runtime.sandbox.v1.ShutdownSandboxResponse"
    FIELDS = {
    }


class SandboxMetricsRequest(Message):
    NAME = "containerd.runtime.sandbox.v1.SandboxMetricsRequest"
    FIELDS = {
        1: ("sandbox_id", STRING, False, None),
    }
    sandbox_id: str = ""


class SandboxMetricsResponse(Message):
    NAME = "containerd.runtime.sandbox.v1.SandboxMetricsResponse"
    FIELDS = {
        1: ("metrics", MESSAGE, False, Metric),
    }
    metrics: Metric
