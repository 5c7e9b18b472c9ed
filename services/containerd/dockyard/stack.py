"""Where one stack keeps everything: the originals' paths by default, or all of it below one ROOT."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from wire.addresses import SOCKET_PATH_LIMIT
from wire.errors import InvalidArgument

_CONTROL_DIR: Final = "/run/dockyard"
_UNNAMEABLE: Final = (":", ",", "\\")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The paths and names of one stack. ``root`` is None for the stack on the default paths."""

    root: str | None
    docker_socket: str
    containerd_socket: str
    dockerd_pid: str
    containerd_pid: str
    docker_data: str
    docker_exec: str
    containerd_data: str
    containerd_state: str
    control_dir: str
    """Short: the supervisor's own sockets stand here, whatever the length of ROOT."""
    log_dir: str
    bridge: str

    @property
    def control_socket(self) -> str:
        """Where `dockyard up`, `down` and `status` reach the supervisor."""
        return f"{self.control_dir}/supervisor.sock"

    @property
    def shim_cgroup(self) -> str:
        """For shims whose containerd runs under a service manager that ends its whole cgroup."""
        return f"/dockyard-{os.path.basename(self.control_dir)}"

    @property
    def subnet_file(self) -> str:
        """The subnet chosen for this stack's bridge at its first start."""
        return f"{self.docker_data}/dockyard-subnet"

    def directories(self) -> tuple[str, ...]:
        """Every directory that only this stack uses."""
        return (
            self.docker_data,
            self.docker_exec,
            self.containerd_data,
            self.containerd_state,
            self.control_dir,
            self.log_dir,
        )


def stack_at(root: str | None) -> Stack:
    """The stack below ``root`` (absolute or relative, of any length), or the one on the default paths.

    Raises InvalidArgument for a root that the options of an overlay mount cannot name.
    """
    if root and any(character in root for character in _UNNAMEABLE):
        raise InvalidArgument(
            f"ROOT {root!r}: a path with one of {' '.join(_UNNAMEABLE)} will not do"
        )
    if not root:
        return Stack(
            root=None,
            docker_socket="/var/run/docker.sock",
            containerd_socket="/run/containerd/containerd.sock",
            dockerd_pid="/var/run/docker.pid",
            containerd_pid="/run/containerd/containerd.pid",
            docker_data="/var/lib/docker",
            docker_exec="/run/docker",
            containerd_data="/var/lib/containerd",
            containerd_state="/run/containerd",
            control_dir=f"{_CONTROL_DIR}/default",
            log_dir="/var/log/dockyard",
            bridge="docker0",
        )
    root = os.path.abspath(root)
    short = hashlib.sha256(os.fsencode(root)).hexdigest()[:8]
    control = f"{_CONTROL_DIR}/{short}"
    return Stack(
        root=root,
        docker_socket=f"{root}/docker.sock",
        containerd_socket=f"{root}/containerd.sock",
        dockerd_pid=f"{root}/dockerd.pid",
        containerd_pid=f"{root}/containerd.pid",
        docker_data=f"{root}/docker",
        docker_exec=f"{root}/run/docker",
        containerd_data=f"{root}/containerd",
        containerd_state=f"{root}/run/containerd",
        control_dir=control,
        log_dir=f"{root}/log",
        bridge=f"dy-{short}",
    )


def dialled(path: str, control_dir: str) -> str:
    """``path``, or the short path that stands for it where sun_path cannot hold ``path`` (plus containerd's `.ttrpc`)."""
    if len(os.fsencode(path)) + len(".ttrpc") <= SOCKET_PATH_LIMIT:
        return path
    return f"{control_dir}/{os.path.basename(path)}"


def choose_subnet(stack: Stack, routes: str) -> str:
    """A bridge address (``a.b.c.1/20``) of the stack's own that overlaps no route in ``routes`` (text of /proc/net/route).

    The choice is recorded, so that a stack keeps its subnet over restarts. Raises RuntimeError when 10.64.0.0/10 is full.
    """
    try:
        with open(stack.subnet_file, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        pass
    taken = _routed(routes)
    seed = int(hashlib.sha256(os.fsencode(stack.root or "")).hexdigest()[8:16], 16)
    pools = 1 << 10
    for step in range(pools):
        index = (seed + step) % pools
        network = IPv4Network(((10 << 24) | (1 << 22) | (index << 12), 20))
        if not any(network.overlaps(other) for other in taken):
            return f"{network.network_address + 1}/20"
    raise RuntimeError("no free subnet for the bridge in 10.64.0.0/10")


def _routed(routes: str) -> list[IPv4Network]:
    networks = []
    for line in routes.splitlines()[1:]:
        columns = line.split()
        destination = int.from_bytes(bytes.fromhex(columns[1]), "little")
        mask = int.from_bytes(bytes.fromhex(columns[7]), "little")
        if mask:
            networks.append(IPv4Network((destination & mask, mask.bit_count())))
    return networks
