"""What a stack leaves in the kernel, taken out when it is removed: containers, mounts, networks, cgroups."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

from dockyard.stack import Stack

_MNT_DETACH: Final = 2
_RUNTIME_ROOT: Final = "/run/dockyard/runtime"
_CGROUPS: Final = "/sys/fs/cgroup"
# What mountinfo writes for white space and backslash in a path.
_ESCAPES: Final = {"\\040": " ", "\\011": "\t", "\\012": "\n", "\\134": "\\"}


def remove(stack: Stack, bin_dir: str) -> None:
    """Remove everything of a stack whose daemons have stopped; what is gone already is no error."""
    for namespace, container_id, bundle in _bundles(stack):
        _end_shim(bundle)
        subprocess.run(
            [
                f"{bin_dir}/dockyard-runtime",
                *("--root", f"{_RUNTIME_ROOT}/{namespace}"),
                *("delete", "--force", container_id),
            ],
            check=False,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    with contextlib.suppress(subprocess.CalledProcessError):
        subprocess.run(
            [
                *(sys.executable, "-I", "-m", "dockerd.leftovers"),
                *(stack.bridge, stack.docker_data, stack.docker_exec),
            ],
            check=True,
            stdin=subprocess.DEVNULL,
        )
    for path in _mounts(stack):
        _unmount(path)
    _remove_cgroups("docker", stack.shim_cgroup.lstrip("/"))


def _bundles(stack: Stack) -> Iterator[tuple[str, str, str]]:
    tasks = f"{stack.containerd_state}/io.containerd.runtime.v2.task"
    with contextlib.suppress(FileNotFoundError):
        for namespace in os.listdir(tasks):
            for container_id in os.listdir(f"{tasks}/{namespace}"):
                yield namespace, container_id, f"{tasks}/{namespace}/{container_id}"


def _end_shim(bundle: str) -> None:
    try:
        with open(f"{bundle}/shim.pid", encoding="ascii") as file:
            pid = int(file.read())
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read()
    except (OSError, ValueError):
        return
    # The pid may belong to somebody else by now.
    if b"containerd-shim-" in command:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _mounts(stack: Stack) -> list[str]:
    """Mount points in the stack's folders, the innermost first."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            path = line.split()[4]
            for escape, character in _ESCAPES.items():
                path = path.replace(escape, character)
            if any(path.startswith(f"{folder}/") for folder in stack.directories()):
                found.append(path)
    return found[::-1]


def _unmount(path: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.umount2(os.fsencode(path), _MNT_DETACH)


def remove_shared_folders(stack: Stack) -> None:
    """What all stacks share goes with the last one; the folders of any other keep it."""
    shared = os.path.dirname(stack.control_dir)
    with contextlib.suppress(OSError):
        if os.listdir(shared) == [os.path.basename(_RUNTIME_ROOT)]:
            for namespace in os.listdir(_RUNTIME_ROOT):
                os.rmdir(f"{_RUNTIME_ROOT}/{namespace}")
            os.rmdir(_RUNTIME_ROOT)
            os.rmdir(shared)


def _remove_cgroups(*names: str) -> None:
    """The parent of containers' cgroups goes with the last stack that uses it."""
    with contextlib.suppress(OSError):
        for hierarchy in ["", *os.listdir(_CGROUPS)]:
            for name in names:
                with contextlib.suppress(OSError):
                    os.rmdir(os.path.join(_CGROUPS, hierarchy, name))
