"""`--security-opt`: what of it is understood, and refused by name what is not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Final

from dockerd.spec import seccomp
from wire.errors import InvalidArgument

UNCONFINED: Final = "unconfined"
BUILTIN: Final = "builtin"
_TRUE: Final = frozenset({"", "true", "1", "t", "T", "TRUE", "True"})
_FALSE: Final = frozenset({"false", "0", "f", "F", "FALSE", "False"})
_APPARMOR: Final = "/sys/module/apparmor/parameters/enabled"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityOptions:
    """The options of one container; ``seccomp`` is a profile's text, ``builtin``, ``unconfined``, or empty for the
    daemon's default."""

    no_new_privileges: bool = False
    seccomp: str = ""
    writable_cgroups: bool = False


def parse(host: dict[str, Any]) -> SecurityOptions:
    """The options of a HostConfig; raises InvalidArgument in Docker's words."""
    found: dict[str, Any] = {}
    for option in host.get("SecurityOpt") or []:
        if option == "no-new-privileges":
            found["no_new_privileges"] = True
            continue
        if option == "disable":
            continue
        separator = "=" if "=" in option else ":"
        name, mark, value = option.partition(separator)
        if not mark:
            raise InvalidArgument(f'invalid --security-opt 1: "{option}"')
        match name:
            case "label":
                _check_label(value)
            case "apparmor":
                _check_apparmor(value)
            case "seccomp":
                found["seccomp"] = value
                if value not in {"", UNCONFINED, BUILTIN}:
                    seccomp.parse(value)
            case "no-new-privileges":
                found["no_new_privileges"] = _boolean(option, value)
            case "writable-cgroups":
                found["writable_cgroups"] = _boolean(option, value)
            case _:
                raise InvalidArgument(f'invalid --security-opt 2: "{option}"')
    return SecurityOptions(**found)


def _boolean(option: str, value: str) -> bool:
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise InvalidArgument(f'invalid --security-opt 2: "{option}"')


def _check_label(value: str) -> None:
    # Without SELinux only its absence can be promised.
    if value != "disable":
        raise InvalidArgument(
            f'invalid --security-opt: "label={value}": SELinux is not supported on this host'
        )


def _check_apparmor(value: str) -> None:
    if value == UNCONFINED:
        return
    if not apparmor_enabled():
        raise InvalidArgument(
            f'invalid --security-opt: "apparmor={value}": AppArmor is not enabled on this host'
        )


def apparmor_enabled() -> bool:
    """Whether the kernel enforces AppArmor."""
    try:
        with open(_APPARMOR, encoding="ascii") as file:
            return file.read(1) == "Y" and os.path.isdir("/sys/kernel/security/apparmor")
    except OSError:
        return False


def apparmor_profile(host: dict[str, Any]) -> str:
    """The profile that a container asks for by name; empty for none."""
    for option in host.get("SecurityOpt") or []:
        name, _, value = option.partition("=" if "=" in option else ":")
        if name == "apparmor" and value != UNCONFINED:
            return str(value)
    return ""
