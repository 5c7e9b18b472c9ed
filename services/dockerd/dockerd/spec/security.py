"""`--security-opt`: what of it is understood, and refused by name what is not."""

from __future__ import annotations

from typing import Any, Final

from wire.errors import InvalidArgument

_NO_NEW_PRIVILEGES: Final = frozenset(
    {"no-new-privileges", "no-new-privileges=true", "no-new-privileges:true"}
)
_UNCONFINED: Final = frozenset({"seccomp=unconfined", "seccomp:unconfined"})
_UNDERSTOOD: Final = (
    _NO_NEW_PRIVILEGES
    | _UNCONFINED
    | {
        "no-new-privileges=false",
        "no-new-privileges:false",
        "apparmor=unconfined",
        "label=disable",
    }
)


def validate(host: dict[str, Any]) -> None:
    """Raises InvalidArgument for an option that would be ignored."""
    for option in host.get("SecurityOpt") or []:
        if option not in _UNDERSTOOD:
            raise InvalidArgument(f"invalid --security-opt: {option!r} is not supported yet")


def no_new_privileges(host: dict[str, Any]) -> bool:
    """Whether set-uid programs and file capabilities give nothing."""
    return not _NO_NEW_PRIVILEGES.isdisjoint(host.get("SecurityOpt") or ())


def seccomp_unconfined(host: dict[str, Any]) -> bool:
    """Whether no system call is filtered."""
    return not _UNCONFINED.isdisjoint(host.get("SecurityOpt") or ())
