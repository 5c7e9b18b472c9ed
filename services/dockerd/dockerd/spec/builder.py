"""From a container's record to the OCI runtime spec. Pure but for looking at the image's /etc/passwd, inside its root."""

from __future__ import annotations

from typing import Any

from dockerd.spec import capabilities, devices, process, resources, seccomp, security
from dockerd.spec import mounts as default_mounts
from dockerd.spec.namespaces import chosen


def build(
    *,
    container_id: str,
    config: dict[str, Any],
    host: dict[str, Any],
    args: list[str],
    rootfs: str,
    hostname: str,
    mounts: list[dict[str, Any]],
    netns: str | None,
    namespaces: dict[str, str],
    own_hostname: bool,
) -> dict[str, Any]:
    """The whole spec. ``mounts`` come after the defaults; ``namespaces`` maps pid, ipc to paths (empty: the host's)."""
    privileged = bool(host.get("Privileged"))
    spec: dict[str, Any] = {
        "ociVersion": "1.2.0",
        "root": {"path": rootfs, "readonly": bool(host.get("ReadonlyRootfs"))},
        "process": process.document(
            args=args,
            env=process.environment(config, hostname),
            cwd=config.get("WorkingDir") or "/",
            user=config.get("User") or "",
            groups=host.get("GroupAdd") or [],
            terminal=bool(config.get("Tty")),
            host=host,
            rootfs=rootfs,
            privileged=privileged,
        ),
        "mounts": [*default_mounts.defaults(host, mounts, privileged=privileged), *mounts],
        "linux": {
            "cgroupsPath": resources.cgroup_path(container_id, host),
            "namespaces": chosen(netns, namespaces),
            "resources": resources.limits(host, privileged=privileged),
            "sysctl": host.get("Sysctls") or {},
            "maskedPaths": [] if privileged else list(default_mounts.MASKED),
            "readonlyPaths": [] if privileged else list(default_mounts.READ_ONLY),
            "devices": devices.of_host() if privileged else devices.requested(host),
        },
    }
    if own_hostname:
        spec["hostname"] = hostname
        if config.get("Domainname"):
            spec["domainname"] = config["Domainname"]
    if not privileged and not security.seccomp_unconfined(host):
        spec["linux"]["seccomp"] = seccomp.default_profile(
            tuple(capabilities.granted(host, privileged=False))
        )
    return spec
