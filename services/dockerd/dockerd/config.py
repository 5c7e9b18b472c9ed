"""The daemon's flags, with the original's names."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field
from typing import Final

DEFAULT_SOCKET: Final = "/var/run/docker.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the daemon was told."""

    data_root: str
    exec_root: str
    hosts: tuple[str, ...]
    containerd: str
    bridge: str
    bip: str | None
    group: str
    pidfile: str | None
    runtimes: dict[str, str] = field(default_factory=dict)
    debug: bool = False
    log_level: str = "info"
    registry_mirrors: tuple[str, ...] = ()
    insecure_registries: tuple[str, ...] = ()


def parse(arguments: list[str], version: str) -> Config:
    """Read the command line; argparse ends the process for a flag that does not exist."""
    parser = argparse.ArgumentParser(prog="dockerd", allow_abbrev=False)
    parser.add_argument(
        "-v", "--version", action="version", version=f"Docker version {version}, build dockyard"
    )
    parser.add_argument("--data-root", default="/var/lib/docker")
    parser.add_argument("--exec-root", default="/run/docker")
    parser.add_argument("-H", "--host", action="append", default=[])
    parser.add_argument("--containerd", default="/run/containerd/containerd.sock")
    parser.add_argument("-b", "--bridge", default="docker0")
    parser.add_argument("--bip", default=None)
    parser.add_argument("-G", "--group", default="docker")
    parser.add_argument("-p", "--pidfile", default=None)
    parser.add_argument("--add-runtime", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--registry-mirror", action="append", default=[], metavar="URL")
    parser.add_argument("--insecure-registry", action="append", default=[], metavar="HOST|CIDR")
    parser.add_argument("-D", "--debug", action="store_true")
    parser.add_argument(
        "-l", "--log-level", default="info", choices=("debug", "info", "warning", "error")
    )
    found = parser.parse_args(arguments)
    runtimes = {}
    for each in found.add_runtime:
        name, separator, path = each.partition("=")
        if not separator:
            parser.error(f"argument --add-runtime: invalid value {each!r}: NAME=PATH is needed")
        runtimes[name] = path
    return Config(
        data_root=os.path.abspath(found.data_root),
        exec_root=os.path.abspath(found.exec_root),
        hosts=tuple(found.host) or (f"unix://{DEFAULT_SOCKET}",),
        containerd=found.containerd,
        bridge=found.bridge,
        bip=found.bip,
        group=found.group,
        pidfile=found.pidfile,
        runtimes=runtimes,
        debug=found.debug,
        log_level="debug" if found.debug else found.log_level,
        registry_mirrors=tuple(found.registry_mirror),
        insecure_registries=tuple(found.insecure_registry),
    )
