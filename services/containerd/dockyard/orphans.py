"""Daemons of a stack whose supervisor was killed: they go on serving, but nobody would start them again."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import Final

from dockyard.stack import Stack

_PATIENCE_MS: Final = 30_000


def stop(stack: Stack) -> bool:
    """End the daemons that a dead supervisor left, dockerd first; whether there were any. Containers go on."""
    found = False
    for name, pid_file in (("dockerd", stack.dockerd_pid), ("containerd", stack.containerd_pid)):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            with open(pid_file, encoding="ascii") as file:
                pid = int(file.read())
            # From here on the number cannot become another process's.
            descriptor = os.pidfd_open(pid)
            try:
                if _was_supervised(pid, f"{stack.control_dir}/notify-{name}.sock"):
                    found = True
                    _end(descriptor)
                    os.unlink(pid_file)
            finally:
                os.close(descriptor)
    return found


def _was_supervised(pid: int, notify_path: str) -> bool:
    """Whether the process was started by a supervisor of this very stack; others are not ours to end."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read().split(b"\0")
    except OSError:
        return False
    return os.fsencode(f"NOTIFY_SOCKET={notify_path}") in environment


def _end(descriptor: int) -> None:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    if not waiting.poll(_PATIENCE_MS):
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        waiting.poll(_PATIENCE_MS)
