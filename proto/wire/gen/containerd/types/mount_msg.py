"""Messages of containerd/types/mount.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message
from wire.gen.google.protobuf.timestamp_msg import *


class Mount(Message):
    NAME = "containerd.types.Mount"
    FIELDS = {
        1: ("type", STRING, False, None),
        2: ("source", STRING, False, None),
        3: ("target", STRING, False, None),
        4: ("options", STRING, True, None),
    }
    type: str = ""
    source: str = ""
    target: str = ""
    options: list[str]


class ActiveMount(Message):
    NAME = "containerd.types.ActiveMount"
    FIELDS = {
        1: ("mount", MESSAGE, False, Mount),
        2: ("mounted_at", MESSAGE, False, Timestamp),
        3: ("mount_point", STRING, False, None),
        4: ("data", STRING_MAP, False, None),
    }
    mount: Mount
    mounted_at: Timestamp
    mount_point: str = ""
    data: dict[str, str]


class ActivationInfo(Message):
    NAME = "containerd.types.ActivationInfo"
    FIELDS = {
        1: ("name", STRING, False, None),
        2: ("active", MESSAGE, True, ActiveMount),
        3: ("system", MESSAGE, True, Mount),
        4: ("labels", STRING_MAP, False, None),
    }
    name: str = ""
    active: list[ActiveMount]
    system: list[Mount]
    labels: dict[str, str]
