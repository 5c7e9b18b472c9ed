"""Messages of containerd/types/runtimeoptions/v1/api.proto, for wire.codec. Generated; do not edit."""

from __future__ import annotations

from wire.codec import BOOL, BYTES, DOUBLE, ENUM, MESSAGE, SIGNED32, SIGNED64, STRING, STRING_MAP, UNSIGNED, Message


class Options(Message):
    NAME = "runtimeoptions.v1.Options"
    FIELDS = {
        1: ("type_url", STRING, False, None),
        2: ("config_path", STRING, False, None),
        3: ("config_body", BYTES, False, None),
    }
    type_url: str = ""
    config_path: str = ""
    config_body: bytes = b""
