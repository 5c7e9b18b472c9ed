"""The mounts that every container has, and the paths that it may not see or change."""

from __future__ import annotations

from typing import Any, Final

from dockerd.spec import security

MASKED: Final = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
    "/sys/firmware",
)  # fmt: skip
READ_ONLY: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_SHM: Final = 64 << 20


def defaults(
    host: dict[str, Any], own: list[dict[str, Any]], *, privileged: bool, shm: bool
) -> list[dict[str, Any]]:
    """Those that none of ``own``, the container's, covers."""
    guarded = ["nosuid", "noexec", "nodev"]
    write = "rw" if privileged else "ro"
    cgroup = "rw" if privileged or security.parse(host).writable_cgroups else "ro"
    found: list[dict[str, Any]] = [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": guarded},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        },
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*guarded, write]},
        {
            "destination": "/sys/fs/cgroup",
            "type": "cgroup",
            "source": "cgroup",
            "options": [cgroup, *guarded],
        },
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": guarded},
        {
            "destination": "/dev/shm",  # noqa: S108 - inside the container
            "type": "tmpfs",
            "source": "shm",
            "options": [*guarded, "mode=1777", f"size={host.get('ShmSize') or _SHM}"],
        },
    ]
    covered = {each["destination"] for each in own}
    if not shm:
        covered.add("/dev/shm")  # noqa: S108
    return [each for each in found if each["destination"] not in covered]
