"""Capabilities: the default set, and what a container adds and drops."""

from __future__ import annotations

from typing import Any, Final

from wire.errors import InvalidArgument

DEFAULT_CAPABILITIES: Final = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
)  # fmt: skip
ALL_CAPABILITIES: Final = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
        "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
        "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
        "CHECKPOINT_RESTORE",
    )
)  # fmt: skip


def granted(host: dict[str, Any], *, privileged: bool) -> list[str]:
    """The default set with CapAdd and CapDrop applied; raises InvalidArgument for an unknown name."""
    added = [_checked(name, "CapAdd") for name in host.get("CapAdd") or []]
    dropped = [_checked(name, "CapDrop") for name in host.get("CapDrop") or []]
    if privileged:
        return list(ALL_CAPABILITIES)
    if "CAP_ALL" in added:
        names = list(ALL_CAPABILITIES)
    elif "CAP_ALL" in dropped:
        names = []
    else:
        names = list(DEFAULT_CAPABILITIES)
    names = [name for name in names if name not in dropped]
    return [*names, *(name for name in added if name != "CAP_ALL" and name not in names)]


def _checked(name: str, field: str) -> str:
    full = name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}"
    if full != "CAP_ALL" and full not in ALL_CAPABILITIES:
        raise InvalidArgument(f'invalid {field}: unknown capability: "{full}"')
    return full
