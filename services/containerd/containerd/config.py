"""The daemon's flags."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Where the daemon keeps its data and listens."""

    root: str
    state: str
    address: str
    shim_dir: str
    shim_cgroup: str | None
    log_level: str
    hosts_dir: str

    @property
    def ttrpc_address(self) -> str:
        """Where shims report events."""
        return f"{self.address}.ttrpc"


def parse(arguments: list[str], version: str) -> Config:
    """Flags with the original's names."""
    parser = argparse.ArgumentParser(prog="containerd", allow_abbrev=False)
    parser.add_argument(
        "-v", "--version", action="version", version=f"containerd dockyard v{version} dockyard"
    )
    parser.add_argument("--root", default="/var/lib/containerd", help="persistent data")
    parser.add_argument("--state", default="/run/containerd", help="state of running tasks")
    parser.add_argument("-a", "--address", default="/run/containerd/containerd.sock")
    parser.add_argument("--shim-dir", default=os.path.dirname(os.path.realpath(sys.argv[0])))
    parser.add_argument(
        "--shim-cgroup", default=None, help="put shims there, so that they outlive our own cgroup"
    )
    parser.add_argument(
        "-l", "--log-level", default="info", choices=("debug", "info", "warning", "error")
    )
    parser.add_argument(
        "--hosts-dir",
        default="/etc/containerd/certs.d:/etc/docker/certs.d",
        help="directories with a hosts.toml for each registry, for pulls by the transfer service",
    )
    found = parser.parse_args(arguments)
    return Config(
        root=os.path.abspath(found.root),
        state=os.path.abspath(found.state),
        address=found.address,
        shim_dir=found.shim_dir,
        shim_cgroup=found.shim_cgroup,
        log_level=found.log_level,
        hosts_dir=found.hosts_dir,
    )
