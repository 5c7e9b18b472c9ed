"""Docker's default seccomp profile, made for a set of capabilities."""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any

from dockerd.spec.sockets import socket_rules


@functools.lru_cache(maxsize=64)
def default_profile(names: tuple[str, ...]) -> dict[str, Any]:
    """The default profile for a set of capabilities."""
    profile = json.loads(resources.files("dockerd.spec").joinpath("seccomp.json").read_text())
    allowed = list(profile["allowed"])
    for capability in names:
        allowed += profile["capabilities"].get(capability, [])
    rules: list[dict[str, Any]] = [
        {"names": sorted(set(allowed)), "action": "SCMP_ACT_ALLOW"},
        *socket_rules(),
        *(
            {
                "names": ["personality"],
                "action": "SCMP_ACT_ALLOW",
                "args": [{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}],
            }
            for value in (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)
        ),
    ]
    if "CAP_SYS_ADMIN" not in names:
        rules += [
            {
                "names": ["clone"],
                "action": "SCMP_ACT_ALLOW",
                "args": [
                    {"index": 0, "value": 0x7E020000, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
                ],
            },
            # The flags of clone3 are behind a pointer: ENOSYS makes libraries use clone.
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
        ]
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        "syscalls": rules,
    }
