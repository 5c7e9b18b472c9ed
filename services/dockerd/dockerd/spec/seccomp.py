"""Seccomp: Docker's default profile, and profiles in Docker's own notation made for a container."""

from __future__ import annotations

import functools
import json
import platform
from importlib import resources
from typing import Any, Final

from dockerd.spec.sockets import socket_rules
from wire.errors import InvalidArgument

# Docker's notation has Go's names of architectures.
_ARCHITECTURES: Final = frozenset({"amd64", "x86", "x32"})
_NATIVE: Final = "SCMP_ARCH_X86_64"


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


def parse(text: str) -> dict[str, Any]:
    """A profile in Docker's notation; raises InvalidArgument for what is none."""
    try:
        profile = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"Decoding seccomp profile failed: {error}") from None
    if not isinstance(profile, dict):
        raise InvalidArgument("Decoding seccomp profile failed: an object is needed")
    if profile.get("architectures") and profile.get("archMap"):
        raise InvalidArgument(
            "'architectures' and 'archMap' were specified in the seccomp profile, use either 'architectures' or 'archMap'"
        )
    for entry in profile.get("syscalls") or []:
        if entry.get("name") and entry.get("names"):
            raise InvalidArgument(
                "'name' and 'names' were specified in the seccomp profile, use either 'name' or 'names'"
            )
    return profile


def for_container(text: str, names: tuple[str, ...]) -> dict[str, Any]:
    """A profile as the runtime has it, for a container with these capabilities; raises InvalidArgument."""
    profile = parse(text)
    architectures = profile.get("architectures") or []
    for entry in profile.get("archMap") or []:
        if entry.get("architecture") == _NATIVE:
            architectures = [_NATIVE, *(entry.get("subArchitectures") or [])]
    found: dict[str, Any] = {
        "defaultAction": profile.get("defaultAction") or "",
        "syscalls": [
            _rule(entry)
            for entry in profile.get("syscalls") or []
            if _applies(entry, frozenset(names))
        ],
    }
    if architectures:
        found["architectures"] = architectures
    for key in ("defaultErrnoRet", "flags", "listenerPath", "listenerMetadata"):
        if profile.get(key) is not None:
            found[key] = profile[key]
    return found


def _rule(entry: dict[str, Any]) -> dict[str, Any]:
    found = {
        "names": entry.get("names") or [entry.get("name")],
        "action": entry.get("action") or "",
    }
    if entry.get("args"):
        found["args"] = entry["args"]
    if entry.get("errnoRet") is not None:
        found["errnoRet"] = entry["errnoRet"]
    return found


def _applies(entry: dict[str, Any], names: frozenset[str]) -> bool:
    excluded, included = entry.get("excludes") or {}, entry.get("includes") or {}
    if not _ARCHITECTURES.isdisjoint(excluded.get("arches") or ()):
        return False
    if not names.isdisjoint(excluded.get("caps") or ()):
        return False
    if excluded.get("minKernel") and _kernel_is(excluded["minKernel"]):
        return False
    if included.get("arches") and _ARCHITECTURES.isdisjoint(included["arches"]):
        return False
    if included.get("minKernel") and not _kernel_is(included["minKernel"]):
        return False
    return names.issuperset(included.get("caps") or ())


def _kernel_is(least: str) -> bool:
    """Whether the running kernel is at least this version."""
    try:
        wanted = tuple(int(part) for part in least.split("."))
    except ValueError:
        raise InvalidArgument(f"invalid kernel version: {least}") from None
    running = platform.release().partition("-")[0].split(".")
    return tuple(int(part) for part in running[: len(wanted)] if part.isdigit()) >= wanted
