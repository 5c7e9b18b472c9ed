"""The daemon's flags and its file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from containerd.settings import Settings
from containerd.settings import parse as parse_file
from wire.errors import InvalidArgument

_LEVELS = ("trace", "debug", "info", "warn", "warning", "error", "fatal", "panic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Where the daemon keeps its data and listens.

    ``command`` is empty, ``default`` or ``dump`` of the file, ``verify``, ``repair`` or ``account``.

    ``unknown`` are the keys of the file that mean nothing here.
    """

    settings: Settings
    shim_dir: str
    shim_cgroup: str | None
    unknown: Sequence[str]
    command: str

    @property
    def root(self) -> str:
        """Persistent data."""
        return self.settings.root

    @property
    def state(self) -> str:
        """State of running tasks."""
        return self.settings.state

    @property
    def address(self) -> str:
        """The gRPC socket."""
        return self.settings.address

    @property
    def ttrpc_address(self) -> str:
        """Where shims report events."""
        return self.settings.ttrpc_address or f"{self.address}.ttrpc"

    @property
    def log_level(self) -> str:
        """What is logged."""
        return self.settings.log_level


def parse(arguments: list[str], version: str) -> Config:
    """Flags with the original's names, which go before what a file says; raises InvalidArgument for a bad file."""
    parser = argparse.ArgumentParser(prog="containerd", allow_abbrev=False)
    parser.add_argument(
        "-v", "--version", action="version", version=f"containerd dockyard v{version} dockyard"
    )
    parser.add_argument("-c", "--config", help="a config.toml of version 2 or 3; none by default")
    parser.add_argument("--root", help="persistent data")
    parser.add_argument("--state", help="state of running tasks")
    parser.add_argument("-a", "--address", help="the gRPC socket")
    parser.add_argument("--shim-dir", default=os.path.dirname(os.path.realpath(sys.argv[0])))
    parser.add_argument(
        "--shim-cgroup", default=None, help="put shims there, so that they outlive our own cgroup"
    )
    parser.add_argument("-l", "--log-level", choices=_LEVELS)
    parser.add_argument(
        "--hosts-dir",
        help="directories with a hosts.toml for each registry, for pulls by the transfer service",
    )
    commands = parser.add_subparsers(dest="command")
    config = commands.add_parser("config", help="the configuration as a config.toml")
    config.add_argument("what", choices=("default", "dump"))
    verify = commands.add_parser("verify", help="hold every blob and snapshot against its digest")
    chosen = verify.add_mutually_exclusive_group()
    chosen.add_argument("--repair", action="store_true", help="fetch or unpack again what differs")
    chosen.add_argument("--disk", action="store_true", help="only account for the bytes on disk")
    found = parser.parse_args(arguments)
    settings, unknown = _read(found.config) if found.config else (Settings(), ())
    given = {
        name: value
        for name in ("root", "state", "address", "log_level", "hosts_dir")
        if (value := getattr(found, name)) is not None
    }
    settings = replace(settings, **given)
    if settings.log_level not in _LEVELS:
        raise InvalidArgument(f'debug.level: not a valid level: "{settings.log_level}"')
    return Config(
        settings=replace(
            settings, root=os.path.abspath(settings.root), state=os.path.abspath(settings.state)
        ),
        shim_dir=found.shim_dir,
        shim_cgroup=found.shim_cgroup,
        unknown=unknown,
        command=_command(found),
    )


def _command(found: argparse.Namespace) -> str:
    if found.command == "verify":
        return "repair" if found.repair else "account" if found.disk else "verify"
    return str(found.what) if found.command else ""


def _read(path: str) -> tuple[Settings, Sequence[str]]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise InvalidArgument(f"{path}: {error}") from None
    try:
        return parse_file(text)
    except InvalidArgument as error:
        raise InvalidArgument(f"failed to load TOML: {path}: {error.message}") from None
