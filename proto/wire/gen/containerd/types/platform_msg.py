"""Messages of containerd/types/platform.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message


class Platform(Message):
    NAME = "containerd.types.Platform"
    FIELDS = {
        1: ("os", STRING, False, None),
        2: ("architecture", STRING, False, None),
        3: ("variant", STRING, False, None),
        4: ("os_version", STRING, False, None),
        5: ("os_features", STRING, True, None),
    }
    os: str = ""
    architecture: str = ""
    variant: str = ""
    os_version: str = ""
    os_features: list[str]
