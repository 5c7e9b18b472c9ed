"""`dockyard doctor`: what this machine and this stack lack, each in a sentence that says what to do."""

from __future__ import annotations

import contextlib
import ctypes.util
import json
import os
import platform
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import grpc
from google.protobuf import empty_pb2

from dockyard.engine import Engine, EngineFailure
from dockyard.stack import Stack, dialled
from wire.gen.containerd.services.version.v1 import version_pb2_grpc

_OLDEST_KERNEL: Final = (
    5,
    12,
)  # mount_setattr(2) is the newest system call without which nothing runs
_OLDEST_PYTHON: Final = (3, 11)
_PROGRAMS: Final = (
    "dockerd",
    "containerd",
    "containerd-shim-dockyard-v1",
    "dockyard-runtime",
    "dockyard-init",
)
_CONTROLLERS: Final = ("cpu", "cpuset", "devices", "freezer", "memory", "pids")
# v2 has these two without a controller.
_BUILT_IN_V2: Final = ("devices", "freezer")
_CAPABILITIES: Final = {
    12: "NET_ADMIN",
    18: "SYS_CHROOT",
    19: "SYS_PTRACE",
    21: "SYS_ADMIN",
    27: "MKNOD",
}
_TRIALS: Final = {
    "bridge": "ip link add name dy0 type bridge",
    "veth": "ip link add name dy1 type veth peer name dy2",
    "nftables NAT": "nft 'add table ip dy; add chain ip dy c { type nat hook postrouting priority 100; };"
    " add rule ip dy c masquerade'",
    "overlayfs": "mount -t tmpfs none /mnt && cd /mnt && mkdir l u w m"
    " && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w overlay m",
}
_PATIENCE: Final = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    level: Literal["ok", "warning", "problem"]
    subject: str
    text: str


def examine(stack: Stack, bin_dir: str, *, repair: bool = False) -> Iterator[Finding]:
    """Look at everything, the machine first, what containerd keeps last.

    Changes nothing outside of namespaces of its own, but with ``repair`` blobs and layers that are damaged.
    """
    yield from (_kernel(), _python(), _privileges())
    yield from _programs(bin_dir)
    yield from _cgroups()
    for name, command in _TRIALS.items():
        yield _trial(name, command)
    yield from (_seccomp(), _user_namespaces(), _forwarding())
    yield _socket("docker socket", stack.docker_socket, lambda: _engine_version(stack))
    yield _socket("containerd socket", stack.containerd_socket, lambda: _containerd_version(stack))
    yield from _shims(stack)
    yield from _stored(stack, bin_dir, repair=repair)


def _stored(stack: Stack, bin_dir: str, *, repair: bool) -> Iterator[Finding]:
    """What containerd's own `verify` finds, which reads every blob and every layer."""
    command = [
        f"{bin_dir}/containerd",
        *("--root", stack.containerd_data),
        *("--state", stack.containerd_state),
        "verify",
        *(["--repair"] if repair else []),
    ]
    if not os.path.exists(f"{stack.containerd_data}/metadata.db"):
        yield Finding("warning", "content", f"{stack.containerd_data} has no metadata yet")
        return
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            yield _told(json.loads(line))
        failure = process.stderr.read().strip()
    if failure:
        yield Finding("problem", "content", failure.splitlines()[-1])


def _told(found: dict[str, Any]) -> Finding:
    """One line for a finding: which image, which blob or layer, which file."""
    words = []
    if found["images"]:
        words.append(f"image {', '.join(found['images'])}:")
    if found["digest"]:
        words.append(f"{found['digest']}:")
    words.append(found["text"])
    if found["path"]:
        words.append(f"({found['path']})")
    return Finding(found["level"], found["subject"], " ".join(words))


def _kernel() -> Finding:
    release = platform.release()
    numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2])
    if numbers < _OLDEST_KERNEL:
        wanted = ".".join(map(str, _OLDEST_KERNEL))
        return Finding("problem", "kernel", f"{release} is older than {wanted}")
    return Finding("ok", "kernel", release)


def _python() -> Finding:
    found = platform.python_version()
    if sys.version_info[:2] < _OLDEST_PYTHON:
        return Finding("problem", "python", f"{found} is older than 3.11")
    return Finding("ok", "python", found)


def _privileges() -> Finding:
    if os.geteuid() != 0:
        return Finding("problem", "privileges", "not root: the daemons cannot start from here")
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        held = next(int(line.split()[1], 16) for line in file if line.startswith("CapEff:"))
    missing = [name for number, name in _CAPABILITIES.items() if not held >> number & 1]
    if missing:
        return Finding("problem", "privileges", f"root without {', '.join(missing)}")
    return Finding("ok", "privileges", "root")


def _programs(bin_dir: str) -> Iterator[Finding]:
    missing = [name for name in _PROGRAMS if not os.access(f"{bin_dir}/{name}", os.X_OK)]
    if missing:
        text = f"missing in {bin_dir}: {', '.join(missing)}; make bin builds them"
        yield Finding("problem", "programs", text)
    else:
        done = _output([f"{bin_dir}/dockyard-runtime", "--version"])
        yield Finding("ok", "programs", done.splitlines()[0] if done else "there")
    if ctypes.util.find_library("nftables") is None:
        yield Finding("problem", "libnftables", "not found; install libnftables1")


def _cgroups() -> Iterator[Finding]:
    unified = "/sys/fs/cgroup/cgroup.controllers"
    if os.path.exists(unified):
        layout = "v2"
        with open(unified, encoding="ascii") as file:
            there = {*file.read().split(), *_BUILT_IN_V2}
    else:
        mounted = os.listdir("/sys/fs/cgroup")
        layout = "hybrid" if "unified" in mounted else "v1"
        there = {name for each in mounted for name in each.split(",")}
    missing = [name for name in _CONTROLLERS if name not in there]
    if missing:
        yield Finding("problem", "cgroups", f"{layout} without {', '.join(missing)}")
    else:
        yield Finding("ok", "cgroups", layout)


def _trial(name: str, command: str) -> Finding:
    """Do it in a network and a mount namespace that end with it."""
    if os.geteuid() != 0:
        return Finding("warning", name, "not tried: needs root")
    try:
        done = subprocess.run(
            ["unshare", "--net", "--mount", "sh", "-c", command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("warning", name, f"not tried: {error}")
    if done.returncode != 0:
        reason = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
        return Finding("problem", name, f"does not work: {reason}")
    return Finding("ok", name, "works")


def _seccomp() -> Finding:
    if os.path.exists("/proc/sys/kernel/seccomp/actions_avail"):
        return Finding("ok", "seccomp", "filters")
    return Finding(
        "problem", "seccomp", "the kernel has no filters: containers run only unconfined"
    )


def _user_namespaces() -> Finding:
    path = "/proc/sys/user/max_user_namespaces"
    with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as file:
        if int(file.read()) > 0:
            return Finding("ok", "user namespaces", "allowed")
    return Finding("warning", "user namespaces", "none: --userns does not work")


def _forwarding() -> Finding:
    path = "/proc/sys/net/ipv4/ip_forward"
    with open(path, encoding="ascii") as file:
        enabled = file.read().strip() == "1"
    if enabled or os.access(path, os.W_OK):
        return Finding("ok", "forwarding", "enabled" if enabled else "dockerd will enable it")
    return Finding("problem", "forwarding", f"{path} is 0 and cannot be written")


def _socket(subject: str, path: str, version: Callable[[], str]) -> Finding:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return Finding(
            "warning", subject, f"{path} does not exist: the daemon does not run; make up"
        )
    try:
        answer = version()
    except (OSError, EngineFailure, grpc.RpcError) as error:
        text = error.code().name if isinstance(error, grpc.Call) else str(error)
        return Finding("problem", subject, f"{path} does not answer: {text}")
    if stat.S_IMODE(mode) & 0o007:
        text = (
            f"{path} is open to every user (mode {stat.S_IMODE(mode):o}): whoever uses it is root"
        )
        return Finding("problem", subject, text)
    return Finding("ok", subject, f"{path}, {answer}")


def _engine_version(stack: Stack) -> str:
    found = json.loads(Engine(stack.docker_socket).call("GET", "/version"))
    return f"version {found['Version']}, API {found['ApiVersion']}"


def _containerd_version(stack: Stack) -> str:
    address = dialled(stack.containerd_socket, stack.control_dir)
    with grpc.insecure_channel(
        f"unix:{address}", options=[("grpc.default_authority", "localhost")]
    ) as channel:
        stub = version_pb2_grpc.VersionStub(channel)  # type: ignore[no-untyped-call]
        answer = stub.Version(empty_pb2.Empty(), timeout=_PATIENCE)
    return f"version {answer.version}"


def _shims(stack: Stack) -> Iterator[Finding]:
    """Every task's shim must be alive and answer; its container cannot be stopped or attached to otherwise."""
    tasks = f"{stack.containerd_state}/io.containerd.runtime.v2.task"
    count = 0
    with contextlib.suppress(FileNotFoundError):
        for namespace in os.listdir(tasks):
            for container in os.listdir(f"{tasks}/{namespace}"):
                count += 1
                failure = _shim_failure(f"{tasks}/{namespace}/{container}")
                if failure:
                    yield Finding("problem", "shim", f"of container {container[:12]}: {failure}")
    yield Finding("ok", "tasks", str(count))


def _shim_failure(bundle: str) -> str | None:
    try:
        with open(f"{bundle}/address", encoding="utf-8") as file:
            address = file.read().strip().removeprefix("unix://")
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_PATIENCE)
            probe.connect(address)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _output(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    return done.stdout
