"""What the daemon's configuration says where a create request says nothing; written into the container, so that it stays."""

from __future__ import annotations

import os
from typing import Any, Final

from dockerd.config import Config

_UNIFIED: Final = "/sys/fs/cgroup/cgroup.controllers"
_NO_NEW_PRIVILEGES: Final = "no-new-privileges"


def apply_log(host: dict[str, Any], config: Config) -> None:
    """The log driver, its options for who has the same driver, and for all whether a copy is kept of what is sent elsewhere."""
    log = host.get("LogConfig") or {}
    driver = log.get("Type") or config.log_driver
    copies = {key: value for key, value in config.log_options.items() if key.startswith("cache-")}
    options = {**copies, **(log.get("Config") or {})}
    if driver == config.log_driver:
        options = {**config.log_options, **options}
    host["LogConfig"] = {**log, "Type": driver, "Config": options}


def apply(host: dict[str, Any], config: Config) -> None:
    """Everything else."""
    if not host.get("ShmSize"):
        host["ShmSize"] = config.shm_size
    if not host.get("IpcMode"):
        host["IpcMode"] = config.ipc_mode
    if not host.get("CgroupnsMode"):
        suitable = "private" if os.path.exists(_UNIFIED) else "host"
        host["CgroupnsMode"] = config.cgroupns_mode or suitable
    if not host.get("Runtime"):
        host["Runtime"] = config.default_runtime
    if not host.get("CgroupParent") and config.cgroup_parent:
        host["CgroupParent"] = config.cgroup_parent
    if host.get("Init") is None and config.init:
        host["Init"] = True
    if config.no_new_privileges:
        _restrict(host)
    if config.ulimits:
        own = list(host.get("Ulimits") or [])
        named = {each.get("Name") for each in own}
        host["Ulimits"] = [
            *own,
            *(dict(each) for each in config.ulimits if each["Name"] not in named),
        ]


def _restrict(host: dict[str, Any]) -> None:
    options = list(host.get("SecurityOpt") or [])
    if not any(each.startswith(_NO_NEW_PRIVILEGES) for each in options):
        host["SecurityOpt"] = [*options, _NO_NEW_PRIVILEGES]
