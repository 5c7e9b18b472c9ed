"""Which runtime binary drives a container, and with which root."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_DEFAULT_BINARY: Final = "dockyard-runtime"
_DEFAULT_ROOT: Final = "/run/dockyard/runtime"


class Options:
    """What ``containerd.runc.v1.Options`` says, with defaults filled in."""

    __slots__ = (
        "binary",
        "io_gid",
        "io_uid",
        "no_new_keyring",
        "no_pivot_root",
        "root",
        "systemd_cgroup",
    )

    def __init__(
        self,
        *,
        binary: str,
        root: str,
        systemd_cgroup: bool = False,
        no_pivot_root: bool = False,
        no_new_keyring: bool = False,
        io_uid: int = 0,
        io_gid: int = 0,
    ) -> None:
        self.binary = binary
        self.root = root
        self.systemd_cgroup = systemd_cgroup
        self.no_pivot_root = no_pivot_root
        self.no_new_keyring = no_new_keyring
        self.io_uid = io_uid
        self.io_gid = io_gid


def resolve(
    namespace: str,
    *,
    binary_name: str = "",
    root: str = "",
    systemd_cgroup: bool = False,
    no_pivot_root: bool = False,
    no_new_keyring: bool = False,
    io_uid: int = 0,
    io_gid: int = 0,
) -> Options:
    """Options with the defaults: the runtime beside this program, and a root for each namespace."""
    return Options(
        binary=binary_name or _default_binary(),
        root=f"{root or _DEFAULT_ROOT}/{namespace}",
        systemd_cgroup=systemd_cgroup,
        no_pivot_root=no_pivot_root,
        no_new_keyring=no_new_keyring,
        io_uid=io_uid,
        io_gid=io_gid,
    )


def _default_binary() -> str:
    beside = os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), _DEFAULT_BINARY)
    # A bare name is looked up in PATH by posix_spawnp.
    return beside if os.access(beside, os.X_OK) else _DEFAULT_BINARY
