"""From a container's record to the OCI runtime spec. Pure but for looking at the image's /etc/passwd, inside its root."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dockerd.spec import capabilities, devices, process, resources, seccomp, security
from dockerd.spec import mounts as default_mounts
from dockerd.spec.namespaces import chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is decided at a start: where things are. ``namespaces`` maps pid, ipc, uts to paths, empty for the host's."""

    rootfs: str
    hostname: str
    own_hostname: bool = True
    netns: str | None = None
    namespaces: dict[str, str] = field(default_factory=dict)
    own_cgroup: bool = False
    shm: bool = True
    """Whether /dev/shm is a file system of the container's own."""
    mounts: list[dict[str, Any]] = field(default_factory=list)
    seccomp: str = ""
    """The profile of who names none: its text, empty for ours, or ``unconfined``."""
    sysctls: dict[str, str] = field(default_factory=dict)
    environment: list[str] = field(default_factory=list)
    """Variables below the container's own."""


def build(
    *,
    container_id: str,
    config: dict[str, Any],
    host: dict[str, Any],
    args: list[str],
    around: Surroundings,
) -> dict[str, Any]:
    """The whole spec; raises InvalidArgument for users and devices that do not exist."""
    privileged = bool(host.get("Privileged"))
    spec: dict[str, Any] = {
        "ociVersion": "1.2.0",
        "root": {"path": around.rootfs, "readonly": bool(host.get("ReadonlyRootfs"))},
        "process": process.document(
            args=args,
            env=process.environment(config, around.hostname, around.environment),
            cwd=config.get("WorkingDir") or "/",
            user=config.get("User") or "",
            groups=host.get("GroupAdd") or [],
            terminal=bool(config.get("Tty")),
            host=host,
            rootfs=around.rootfs,
            privileged=privileged,
        ),
        "mounts": [
            *default_mounts.defaults(host, around.mounts, privileged=privileged, shm=around.shm),
            *around.mounts,
        ],
        "annotations": host.get("Annotations") or {},
        "linux": {
            "cgroupsPath": resources.cgroup_path(container_id, host),
            "namespaces": chosen(around.netns, around.namespaces, own_cgroup=around.own_cgroup),
            "resources": resources.limits(host, privileged=privileged),
            "sysctl": around.sysctls,
            "maskedPaths": _paths(host, "MaskedPaths", default_mounts.MASKED),
            "readonlyPaths": _paths(host, "ReadonlyPaths", default_mounts.READ_ONLY),
            "devices": devices.of_host() if privileged else devices.requested(host),
        },
    }
    size = host.get("ConsoleSize") or [0, 0]
    if config.get("Tty") and any(size):
        spec["process"]["consoleSize"] = {"height": size[0], "width": size[1]}
    if around.own_hostname:
        spec["hostname"] = around.hostname
        if config.get("Domainname"):
            spec["domainname"] = config["Domainname"]
    _confine(spec, host, around.seccomp, privileged=privileged)
    return spec


def _paths(host: dict[str, Any], key: str, defaults: tuple[str, ...]) -> list[str]:
    """The container's own list, which may be empty (`systempaths=unconfined`), or Docker's."""
    if host.get("Privileged"):
        return []
    own = host.get(key)
    return list(defaults if own is None else own)


def _confine(spec: dict[str, Any], host: dict[str, Any], default: str, *, privileged: bool) -> None:
    options = security.parse(host)
    profile = security.apparmor_profile(host)
    if profile:
        spec["process"]["apparmorProfile"] = profile
    if privileged and not options.seccomp:
        return
    chosen = options.seccomp or default
    if chosen == security.UNCONFINED:
        return
    names = tuple(capabilities.granted(host, privileged=privileged))
    spec["linux"]["seccomp"] = (
        seccomp.default_profile(names)
        if chosen in {"", security.BUILTIN}
        else seccomp.for_container(chosen, names)
    )
