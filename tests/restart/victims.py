"""Who can be killed, and how."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from tests.support.leaks import TASKS
from tests.support.stack import Stack, wait_until

KINDS = ("dockerd", "containerd", "both", "forkserver", "everybody")


def pids_of(stack: Stack, kind: str) -> list[int]:
    """The victims of a kind."""
    return {
        "dockerd": lambda: [stack.pid("dockerd")],
        "containerd": lambda: [stack.pid("containerd")],
        "both": lambda: [stack.pid("dockerd"), stack.pid("containerd")],
        "forkserver": lambda: [forkserver(stack)],
        "everybody": lambda: [stack.pid("dockerd"), stack.pid("containerd"), forkserver(stack)],
    }[kind]()


def kill(stack: Stack, kind: str) -> list[int]:
    """`kill -9`; the pids, which are gone when this returns."""
    victims = pids_of(stack, kind)
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(_alive(pid) for pid in victims))
    return victims


def back(stack: Stack, killed: list[int]) -> bool:
    """Whether none of the daemons is one of those that were killed, and both answer."""
    with contextlib.suppress(OSError, ValueError):
        fresh = not {stack.pid("dockerd"), stack.pid("containerd")} & set(killed)
        return fresh and stack.call("image", "ls", "-q").code == 0
    return False


def forkserver(stack: Stack) -> int:
    """The warm parent of shims: a child of containerd."""
    containerd = stack.pid("containerd")
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == containerd and b"forkserver" in (entry / "cmdline").read_bytes():
                    return int(entry.name)
    raise AssertionError("no forkserver")


def shim(stack: Stack, container: str) -> int:
    """The shim of a container, by its full id."""
    bundle = stack.root / "run/containerd" / TASKS / "moby" / container
    return int((bundle / "shim.pid").read_text())


def _alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False
