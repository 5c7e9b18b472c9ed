"""`dockyard serve containerd | dockerd`: one daemon of a stack under somebody else's service manager, such as Docker Compose.

The process becomes the daemon. Such a manager ends everything in the service's cgroup, so shims get a cgroup of their own.
"""

from __future__ import annotations

import os
from typing import Final, NoReturn

from dockyard.daemons import containerd_of, dockerd_of
from dockyard.prepare import prepare
from dockyard.stack import Stack
from wire.atomic import write_atomic

SERVICES: Final = ("containerd", "dockerd")
_FIRST_DESCRIPTOR: Final = 3


def serve(stack: Stack, name: str, bin_dir: str) -> NoReturn:
    """Replace this process by the daemon ``name``; raises OSError if its program cannot be run."""
    prepare(stack)
    daemon = dockerd_of(stack, bin_dir) if name == "dockerd" else containerd_of(stack, bin_dir)
    command, environment = daemon.command, daemon.environment
    if name == "containerd":
        command += ["--shim-cgroup", stack.shim_cgroup]
    for offset, (_, listener) in enumerate(daemon.listeners):
        # It may be that number already, and dup2 would then leave it close-on-exec.
        os.dup2(listener.fileno(), _FIRST_DESCRIPTOR + offset)
        os.set_inheritable(_FIRST_DESCRIPTOR + offset, True)
    if daemon.listeners:
        environment.update(
            LISTEN_PID=str(os.getpid()),
            LISTEN_FDS=str(len(daemon.listeners)),
            LISTEN_FDNAMES=":".join(each for each, _ in daemon.listeners),
        )
    write_atomic(daemon.pid_file, f"{os.getpid()}\n".encode(), 0o644)
    os.execve(command[0], command, environment)  # noqa: S606
