"""The process of a container or of an exec."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dockerd.spec import capabilities, security
from dockerd.spec.identity import resolve_user

_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def document(
    *,
    args: list[str],
    env: list[str],
    cwd: str,
    user: str,
    groups: list[str],
    terminal: bool,
    host: dict[str, Any],
    rootfs: str,
    privileged: bool,
) -> dict[str, Any]:
    """The OCI process of a container or an exec; raises InvalidArgument for a user that does not exist."""
    names = capabilities.granted(host, privileged=privileged)
    identity = resolve_user(rootfs, user, groups)
    # A process of another user gets its capabilities from files and set-uid programs alone.
    own = names if identity["uid"] == 0 else []
    found: dict[str, Any] = {
        "terminal": terminal,
        "cwd": cwd or "/",
        "env": env,
        "args": args,
        "user": identity,
        "capabilities": {"bounding": names, "permitted": own, "effective": own},
        "noNewPrivileges": security.parse(host).no_new_privileges,
    }
    if host.get("Ulimits"):
        found["rlimits"] = [
            {
                "type": f"RLIMIT_{each['Name'].upper()}",
                "soft": _unsigned(each["Soft"]),
                "hard": _unsigned(each["Hard"]),
            }
            for each in host["Ulimits"]
        ]
    if host.get("OomScoreAdj"):
        found["oomScoreAdj"] = host["OomScoreAdj"]
    return found


def environment(config: dict[str, Any], hostname: str, below: Sequence[str] = ()) -> list[str]:
    """PATH and HOSTNAME first, TERM with a terminal, ``below``, then the container's own, which win."""
    base = [_PATH, f"HOSTNAME={hostname}"]
    if config.get("Tty"):
        base.append("TERM=xterm")
    base += below
    own = [each for each in config.get("Env") or [] if "=" in each]
    keys = {each.partition("=")[0] for each in own}
    return [each for each in base if each.partition("=")[0] not in keys] + own


def _unsigned(value: int) -> int:
    return value if value >= 0 else (1 << 64) - 1
