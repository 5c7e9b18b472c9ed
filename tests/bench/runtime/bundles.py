"""The containers that are measured: from nearly nothing to all that an engine asks for."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dockerd.spec.capabilities import DEFAULT_CAPABILITIES
from dockerd.spec.mounts import MASKED, READ_ONLY
from dockerd.spec.seccomp import default_profile

Config = dict[str, Any]
APPLETS: Final = ("true", "sleep")
_GUARDED: Final = ("nosuid", "noexec", "nodev")


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of container. ``limits``: the ratio that is wanted at most, by figure and other runtime."""

    name: str
    text: str
    config: Callable[[Path, str], Config]
    limits: dict[tuple[str, str], float]


def write(folder: Path, variant: Variant, cgroup: str) -> None:
    """Two bundles below ``folder``: one whose process ends at once, and ``…-idle``, whose process sleeps."""
    config = variant.config(folder / "rootfs", cgroup)
    for suffix, args in (("", ["/bin/true"]), ("-idle", ["/bin/sleep", "100000"])):
        bundle = folder / f"{variant.name}{suffix}"
        bundle.mkdir()
        config["process"]["args"] = args
        (bundle / "config.json").write_text(json.dumps(config))


def make_rootfs(folder: Path) -> None:
    """A root file system of one busybox, which the ids of a user namespace can reach, too."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise FileNotFoundError("busybox (Debian: busybox-static) is needed")
    folder.chmod(0o755)
    rootfs = folder / "rootfs"
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp"):
        (rootfs / name).mkdir(parents=True)
    shutil.copy(busybox, rootfs / "bin/busybox")
    for applet in APPLETS:
        (rootfs / "bin" / applet).symlink_to("busybox")


def _mount(kind: str, destination: str, *options: str) -> Config:
    return {"destination": destination, "type": kind, "source": kind, "options": list(options)}


def _bare(rootfs: Path, cgroup: str) -> Config:
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(rootfs)},
        "process": {
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "env": ["PATH=/bin"],
            "capabilities": {},
        },
        "mounts": [_mount("proc", "/proc", *_GUARDED)],
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}], "cgroupsPath": cgroup},
    }


def _limited(rootfs: Path, cgroup: str) -> Config:
    config = _bare(rootfs, cgroup)
    config["linux"]["resources"] = {
        "memory": {"limit": 256 << 20},
        "cpu": {"shares": 512, "quota": 150_000, "period": 100_000},
        "pids": {"limit": 200},
        "devices": [{"allow": False, "access": "rwm"}],
    }
    return config


def _filtered(rootfs: Path, cgroup: str) -> Config:
    config = _bare(rootfs, cgroup)
    config["linux"]["seccomp"] = copy.deepcopy(default_profile(DEFAULT_CAPABILITIES))
    return config


def _full(rootfs: Path, cgroup: str) -> Config:
    config = _limited(rootfs, cgroup)
    names = list(DEFAULT_CAPABILITIES)
    config["hostname"] = "measured"
    config["process"]["capabilities"] = dict.fromkeys(("bounding", "permitted", "effective"), names)
    config["process"]["noNewPrivileges"] = True
    config["mounts"] += [
        _mount("tmpfs", "/dev", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount("devpts", "/dev/pts", "nosuid", "noexec", "newinstance", "ptmxmode=0666"),
        _mount("sysfs", "/sys", *_GUARDED, "ro"),
        _mount("cgroup", "/sys/fs/cgroup", *_GUARDED, "ro"),
        _mount("mqueue", "/dev/mqueue", *_GUARDED),
        _mount("tmpfs", "/dev/shm", *_GUARDED, "mode=1777", "size=65536k"),
    ]
    config["linux"]["namespaces"] += [
        {"type": kind} for kind in ("network", "ipc", "uts", "cgroup")
    ]
    config["linux"] |= {
        "maskedPaths": list(MASKED),
        "readonlyPaths": list(READ_ONLY),
        "seccomp": copy.deepcopy(default_profile(DEFAULT_CAPABILITIES)),
    }
    return config


def _mapped(rootfs: Path, cgroup: str) -> Config:
    config = _full(rootfs, cgroup)
    ids = [{"containerID": 0, "hostID": 200_000, "size": 65_536}]
    config["linux"]["namespaces"].append({"type": "user"})
    config["linux"] |= {"uidMappings": ids, "gidMappings": ids}
    return config


def _limits(crun: float, runc: float, **more: float) -> dict[tuple[str, str], float]:
    limits = {("cycle", "crun"): crun, ("cycle", "runc"): runc, ("exec", "crun"): 1.0}
    return limits | {(name, "crun"): value for name, value in more.items()}


VARIANTS: Final = (
    Variant("bare", "mount and pid namespace, /proc", _bare, _limits(1.0, 0.45)),
    Variant("cgroup", "bare, memory, CPU, pids, devices", _limited, _limits(1.0, 0.45)),
    Variant("seccomp", "bare, Docker's default seccomp profile", _filtered, _limits(0.6, 0.4)),
    Variant(
        "full",
        "all of that, seven mounts, six namespaces, 14 capabilities, masked paths",
        _full,
        _limits(0.6, 0.4, run_KiB=1.0),
    ),
    Variant("userns", "full, in a user namespace", _mapped, _limits(0.7, 0.4, run_KiB=1.0)),
)
