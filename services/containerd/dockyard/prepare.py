"""What must be there before a stack's daemons start: its folders, its subnet, and no other engine on its sockets."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Final

from dockyard.stack import Stack, choose_subnet, dialled
from wire.atomic import write_atomic
from wire.errors import Conflict

OWN_MARK: Final = ".dockyard"
"""Stands in each folder that the stack made, and may therefore remove."""


def refuse_foreign(stack: Stack) -> None:
    """Raise Conflict if another engine answers on this stack's sockets, or left containers in its data folder."""
    containers = f"{stack.docker_data}/containers"
    if os.path.isdir(containers) and not os.path.exists(f"{stack.docker_data}/{OWN_MARK}"):
        with os.scandir(containers) as entries:
            if any(entries):
                raise Conflict(
                    f"{stack.docker_data} holds containers of another engine; choose ROOT=/some/dir"
                )
    sockets = {"dockerd": stack.docker_socket, "containerd": stack.containerd_socket}
    for name, serving in served(stack).items():
        if serving:
            raise Conflict(
                f"{sockets[name]} belongs to another engine that is running; stop it, or choose ROOT=/some/dir"
            )


def served(stack: Stack) -> dict[str, bool]:
    """For each daemon by name, whether somebody answers on its socket."""
    return {
        "containerd": _answers(dialled(stack.containerd_socket, stack.control_dir)),
        "dockerd": _answers(stack.docker_socket),
    }


def _answers(path: str) -> bool:
    try:
        # Through the directory's descriptor, because ROOT may be longer than sun_path.
        directory = os.open(os.path.dirname(path), os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
    except OSError:
        return False
    finally:
        os.close(directory)
    return True


def prepare(stack: Stack) -> None:
    """Make the folders, and choose the bridge's subnet at the first start."""
    if stack.root is not None:
        os.makedirs(stack.root, mode=0o711, exist_ok=True)
    for directory in stack.directories():
        os.makedirs(directory, mode=0o711, exist_ok=True)
        if not os.listdir(directory):
            # Only a folder that was ours from the start is removed by `clean`.
            write_atomic(f"{directory}/{OWN_MARK}", b"")
    # Its sockets would let any user talk to the daemons' notify protocol.
    os.chmod(stack.control_dir, 0o700)
    for directory in (
        os.path.dirname(stack.docker_socket),
        os.path.dirname(stack.containerd_socket),
    ):
        os.makedirs(directory, exist_ok=True)
    if stack.root is not None:
        with open("/proc/net/route", encoding="ascii") as routes:
            subnet = choose_subnet(stack, routes.read())
        write_atomic(stack.subnet_file, subnet.encode())
        address = dialled(stack.containerd_socket, stack.control_dir)
        if address != stack.containerd_socket:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(stack.containerd_socket)
            os.symlink(address, stack.containerd_socket)
