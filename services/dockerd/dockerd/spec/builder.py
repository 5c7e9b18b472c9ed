"""From a container's record to the OCI runtime spec. Pure but for looking at the image's /etc/passwd, inside its root."""

from __future__ import annotations

import functools
import json
import os
from importlib import resources
from typing import Any, Final

from dockerd.linux.openat import open_in_root
from wire.errors import InvalidArgument

DEFAULT_CAPABILITIES: Final = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
)  # fmt: skip
ALL_CAPABILITIES: Final = tuple(
    f"CAP_{name}"
    for name in [
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "KILL",
        "SETGID",
        "SETUID",
        "SETPCAP",
        "LINUX_IMMUTABLE",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_ADMIN",
        "NET_RAW",
        "IPC_LOCK",
        "IPC_OWNER",
        "SYS_MODULE",
        "SYS_RAWIO",
        "SYS_CHROOT",
        "SYS_PTRACE",
        "SYS_PACCT",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_NICE",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "MKNOD",
        "LEASE",
        "AUDIT_WRITE",
        "AUDIT_CONTROL",
        "SETFCAP",
        "MAC_OVERRIDE",
        "MAC_ADMIN",
        "SYSLOG",
        "WAKE_ALARM",
        "BLOCK_SUSPEND",
        "AUDIT_READ",
        "PERFMON",
        "BPF",
        "CHECKPOINT_RESTORE",
    ]
)
MASKED: Final = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
    "/sys/firmware",
)  # fmt: skip
READ_ONLY: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_PATH: Final = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LARGEST_PASSWD: Final = 4 << 20
_SHM: Final = 64 << 20


def cgroup_path(container_id: str, host: dict[str, Any]) -> str:
    """The container's cgroup, below the root of every hierarchy."""
    parent = str(host.get("CgroupParent") or "/docker")
    return f"/{parent.strip('/')}/{container_id}"


def process(
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
    names = capabilities(host, privileged=privileged)
    identity = resolve_user(rootfs, user, groups)
    # A process of another user gets its capabilities from files and set-uid programs alone.
    own = names if identity["uid"] == 0 else []
    document: dict[str, Any] = {
        "terminal": terminal,
        "cwd": cwd or "/",
        "env": env,
        "args": args,
        "user": identity,
        "capabilities": {"bounding": names, "permitted": own, "effective": own},
        "noNewPrivileges": "no-new-privileges" in _flags(host)
        or "no-new-privileges=true" in _flags(host)
        or "no-new-privileges:true" in _flags(host),
    }
    if host.get("Ulimits"):
        document["rlimits"] = [
            {
                "type": f"RLIMIT_{each['Name'].upper()}",
                "soft": _unsigned(each["Soft"]),
                "hard": _unsigned(each["Hard"]),
            }
            for each in host["Ulimits"]
        ]
    if host.get("OomScoreAdj"):
        document["oomScoreAdj"] = host["OomScoreAdj"]
    return document


def environment(config: dict[str, Any], hostname: str) -> list[str]:
    """PATH and HOSTNAME first, TERM with a terminal, then the container's own, which win."""
    base = [_PATH, f"HOSTNAME={hostname}"]
    if config.get("Tty"):
        base.append("TERM=xterm")
    own = [each for each in config.get("Env") or [] if "=" in each]
    keys = {each.partition("=")[0] for each in own}
    return [each for each in base if each.partition("=")[0] not in keys] + own


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
        "process": process(
            args=args,
            env=environment(config, hostname),
            cwd=config.get("WorkingDir") or "/",
            user=config.get("User") or "",
            groups=host.get("GroupAdd") or [],
            terminal=bool(config.get("Tty")),
            host=host,
            rootfs=rootfs,
            privileged=privileged,
        ),
        "mounts": [*_default_mounts(host, mounts, privileged=privileged), *mounts],
        "linux": {
            "cgroupsPath": cgroup_path(container_id, host),
            "namespaces": _namespaces(netns, namespaces),
            "resources": resource_limits(host, privileged=privileged),
            "sysctl": host.get("Sysctls") or {},
            "maskedPaths": [] if privileged else list(MASKED),
            "readonlyPaths": [] if privileged else list(READ_ONLY),
            "devices": _host_devices() if privileged else _devices(host),
        },
    }
    if own_hostname:
        spec["hostname"] = hostname
        if config.get("Domainname"):
            spec["domainname"] = config["Domainname"]
    if not privileged and "seccomp=unconfined" not in _flags(host):
        spec["linux"]["seccomp"] = default_seccomp(tuple(capabilities(host, privileged=False)))
    return spec


def capabilities(host: dict[str, Any], *, privileged: bool) -> list[str]:
    """The default set with CapAdd and CapDrop applied; raises InvalidArgument for an unknown name."""
    if privileged:
        return list(ALL_CAPABILITIES)
    added = [_capability(name) for name in host.get("CapAdd") or []]
    dropped = [_capability(name) for name in host.get("CapDrop") or []]
    if "CAP_ALL" in added:
        names = list(ALL_CAPABILITIES)
    elif "CAP_ALL" in dropped:
        names = []
    else:
        names = list(DEFAULT_CAPABILITIES)
    names = [name for name in names if name not in dropped]
    return [*names, *(name for name in added if name != "CAP_ALL" and name not in names)]


def _capability(name: str) -> str:
    full = name.upper() if name.upper().startswith("CAP_") else f"CAP_{name.upper()}"
    if full != "CAP_ALL" and full not in ALL_CAPABILITIES:
        raise InvalidArgument(f'invalid CapAdd: unknown capability: "{full}"')
    return full


def resource_limits(host: dict[str, Any], *, privileged: bool = False) -> dict[str, Any]:
    """linux.resources from HostConfig."""
    memory: dict[str, Any] = {}
    if host.get("Memory"):
        memory["limit"] = host["Memory"]
        swap = host.get("MemorySwap") or 0
        memory["swap"] = swap or 2 * host["Memory"]
    if host.get("MemoryReservation"):
        memory["reservation"] = host["MemoryReservation"]
    if host.get("OomKillDisable"):
        memory["disableOOMKiller"] = True
    if (host.get("MemorySwappiness") or -1) >= 0:
        memory["swappiness"] = host["MemorySwappiness"]
    cpu: dict[str, Any] = {}
    if host.get("NanoCpus"):
        cpu["period"] = 100_000
        cpu["quota"] = host["NanoCpus"] // 10_000
    for source, target in (
        ("CpuShares", "shares"),
        ("CpuPeriod", "period"),
        ("CpuQuota", "quota"),
        ("CpusetCpus", "cpus"),
        ("CpusetMems", "mems"),
    ):
        if host.get(source):
            cpu[target] = host[source]
    found: dict[str, Any] = {"memory": memory, "cpu": cpu}
    if host.get("PidsLimit"):
        found["pids"] = {"limit": host["PidsLimit"]}
    if host.get("BlkioWeight"):
        found["blockIO"] = {"weight": host["BlkioWeight"]}
    if privileged:
        found["devices"] = [{"allow": True, "access": "rwm"}]
    else:
        found["devices"] = [
            {"allow": False, "access": "rwm"},
            *(
                {
                    "allow": True,
                    "type": each["type"],
                    "major": each["major"],
                    "minor": each["minor"],
                    "access": "rwm",
                }
                for each in _devices(host)
            ),
        ]
    return found


def _flags(host: dict[str, Any]) -> list[str]:
    return list(host.get("SecurityOpt") or [])


def _unsigned(value: int) -> int:
    return value if value >= 0 else (1 << 64) - 1


def _namespaces(netns: str | None, joined: dict[str, str]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = [{"type": "mount"}]
    if netns is not None:
        found.append({"type": "network", "path": netns})
    for kind in ("pid", "ipc", "uts"):
        path = joined.get(kind)
        if path is None:
            found.append({"type": kind})
        elif path:
            found.append({"type": kind, "path": path})
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        found.append({"type": "cgroup"})
    return found


def _default_mounts(
    host: dict[str, Any], own: list[dict[str, Any]], *, privileged: bool
) -> list[dict[str, Any]]:
    guarded = ["nosuid", "noexec", "nodev"]
    write = "rw" if privileged else "ro"
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
            "options": [write, *guarded],
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
    return [each for each in found if each["destination"] not in covered]


def _devices(host: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for each in host.get("Devices") or []:
        path = each["PathOnHost"]
        try:
            status = os.stat(path)
        except OSError:
            raise InvalidArgument(
                f'error gathering device information while adding custom device "{path}": no such file or directory'
            ) from None
        kind = "b" if status.st_mode & 0o170000 == 0o060000 else "c"
        found.append(
            {
                "path": each.get("PathInContainer") or path,
                "type": kind,
                "major": os.major(status.st_rdev),
                "minor": os.minor(status.st_rdev),
                "fileMode": status.st_mode & 0o777,
                "uid": status.st_uid,
                "gid": status.st_gid,
            }
        )
    return found


def _host_devices() -> list[dict[str, Any]]:
    """Every device of the host's /dev, for a privileged container; terminals and shared memory have their own mounts."""
    found = []
    pending = ["/dev"]
    skipped = {
        "/dev/pts",
        "/dev/shm",  # noqa: S108
        "/dev/mqueue",
        "/dev/console",
        "/dev/ptmx",
        "/dev/fd",
        "/dev/stdin",
        "/dev/stdout",
        "/dev/stderr",
    }
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.path in skipped or entry.is_symlink():
                    continue
                if entry.is_dir():
                    pending.append(entry.path)
                    continue
                status = entry.stat()
                kind = status.st_mode & 0o170000
                if kind in {0o060000, 0o020000}:
                    found.append(
                        {
                            "path": entry.path,
                            "type": "b" if kind == 0o060000 else "c",
                            "major": os.major(status.st_rdev),
                            "minor": os.minor(status.st_rdev),
                            "fileMode": status.st_mode & 0o777,
                            "uid": status.st_uid,
                            "gid": status.st_gid,
                        }
                    )
    return found


@functools.lru_cache(maxsize=64)
def default_seccomp(names: tuple[str, ...]) -> dict[str, Any]:
    """The default profile for a set of capabilities."""
    profile = json.loads(resources.files("dockerd.spec").joinpath("seccomp.json").read_text())
    allowed = list(profile["allowed"])
    for capability in names:
        allowed += profile["capabilities"].get(capability, [])
    rules: list[dict[str, Any]] = [
        {"names": sorted(set(allowed)), "action": "SCMP_ACT_ALLOW"},
        # Every address family but the one that talks to the hypervisor.
        {
            "names": ["socket"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_LT"}],
        },
        {
            "names": ["socket"],
            "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_GT"}],
        },
        {"names": ["socketcall"], "action": "SCMP_ACT_ALLOW"},
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


def resolve_user(rootfs: str, user: str, groups: list[str]) -> dict[str, Any]:
    """``name|uid[:group|gid]`` and additional groups as numbers, by the image's own files."""
    passwd = _table(rootfs, "etc/passwd") if user or groups else []
    name, _, group = user.partition(":")
    uid, gid, login = 0, 0, "root"
    if name:
        found = next(
            (row for row in passwd if len(row) >= 4 and (row[0] == name or row[2] == name)), None
        )
        if found is not None:
            uid, gid, login = int(found[2]), int(found[3]), found[0]
        elif name.isdigit():
            uid, login = int(name), ""
        else:
            raise InvalidArgument(f"unable to find user {name}: no matching entries in passwd file")
    table = _table(rootfs, "etc/group") if login or group or groups else []
    if group:
        gid = _group(table, group)
    extra = [int(row[2]) for row in table if len(row) >= 4 and login and login in row[3].split(",")]
    extra += [_group(table, each) for each in groups]
    if uid > (1 << 31) - 1 or gid > (1 << 31) - 1:
        raise InvalidArgument("uids and gids must be in range 0-2147483647")
    return {
        "uid": uid,
        "gid": gid,
        "additionalGids": sorted({gid, *extra} if extra or not user else set(extra)),
    }


def _group(table: list[list[str]], name: str) -> int:
    for row in table:
        if len(row) >= 3 and row[0] == name:
            return int(row[2])
    if name.isdigit():
        return int(name)
    raise InvalidArgument(f"unable to find group {name}: no matching entries in group file")


def _table(rootfs: str, path: str) -> list[list[str]]:
    """A file like /etc/passwd of the container, which may be anything: opened inside its root, read up to a limit."""
    root = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        descriptor = open_in_root(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return []
    finally:
        os.close(root)
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(file.fileno()).st_mode & 0o170000 != 0o100000:
            return []
        text = file.read(_LARGEST_PASSWD).decode(errors="replace")
    rows = [line.split(":") for line in text.splitlines() if line and not line.startswith("#")]
    return [row for row in rows if len(row) < 3 or row[2].isdigit()]
