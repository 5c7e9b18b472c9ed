"""The two daemons of a stack: their command lines, environment and listeners, whoever supervises them."""

from __future__ import annotations

import json
import os
from typing import Final

from dockyard.daemon import Daemon
from dockyard.listen import listen
from dockyard.stack import Stack, dialled
from wire.errors import InvalidArgument

_DEFAULT_FILE: Final = "/etc/docker/daemon.json"
_LISTENER: Final = "fd://"


def containerd_of(stack: Stack, bin_dir: str) -> Daemon:
    """containerd with the program of ``bin_dir``; it binds its socket itself, again at each start when it is ready."""
    return Daemon(
        name="containerd",
        command=[
            f"{bin_dir}/containerd",
            *("--root", stack.containerd_data),
            *("--state", stack.containerd_state),
            *("--address", dialled(stack.containerd_socket, stack.control_dir)),
        ],
        environment=_environment(bin_dir),
        pid_file=stack.containerd_pid,
        log_file=f"{stack.log_dir}/containerd.log",
        notify_path=f"{stack.control_dir}/notify-containerd.sock",
    )


def dockerd_of(stack: Stack, bin_dir: str) -> Daemon:
    """dockerd with the program of ``bin_dir``; it is given its listener."""
    command = [
        f"{bin_dir}/dockerd",
        *("--data-root", stack.docker_data),
        *("--exec-root", stack.docker_exec),
        *("--containerd", dialled(stack.containerd_socket, stack.control_dir)),
        *hosts(_DEFAULT_FILE if stack.root is None else f"{stack.root}/daemon.json"),
    ]
    if stack.root is not None:
        # What is below /etc and /run belongs to the stack on the default paths.
        own = f"{stack.root}/daemon.json"
        command += ["--config-file", own if os.path.exists(own) else "", "--pidfile", ""]
        with open(stack.subnet_file, encoding="ascii") as file:
            command += ["--bridge", stack.bridge, "--bip", file.read().strip()]
    return Daemon(
        name="dockerd",
        command=command,
        environment=_environment(bin_dir),
        pid_file=stack.dockerd_pid,
        log_file=f"{stack.log_dir}/dockerd.log",
        notify_path=f"{stack.control_dir}/notify-dockerd.sock",
        listeners=[("docker.sock", listen(stack.docker_socket, 0o660, "docker"))],
    )


def hosts(path: str) -> tuple[str, ...]:
    """The flag that gives dockerd our listener, unless its file says where it listens: not even the original takes both.

    Raises InvalidArgument for a file that leaves our listener out, where `dockyard` itself reaches the daemon.
    """
    try:
        with open(path, "rb") as file:
            chosen = json.load(file).get("hosts")
    except (OSError, ValueError, AttributeError):
        # dockerd says what is wrong with it.
        chosen = None
    if not chosen:
        return ("-H", _LISTENER)
    if not isinstance(chosen, list) or _LISTENER not in chosen:
        raise InvalidArgument(
            f"{path}: hosts must have {_LISTENER}, which is the socket of this stack"
        )
    return ()


def _environment(bin_dir: str) -> dict[str, str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LISTEN_")}
    environment["PATH"] = f"{bin_dir}:{environment.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}"
    return environment
