"""What a create request may ask for: checked, completed, and refused by name where it is not built."""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import Any, Final

from dockerd.containerd_client.tasks import RUNTIME
from dockerd.containers import health, limits, log_config, restart_policy, signals
from dockerd.containers.joined import JOINED, network_mode
from dockerd.images.reference import parse
from dockerd.linux.controllers import abilities
from dockerd.spec import capabilities, devices, security
from wire.errors import InvalidArgument

STOCK_RUNTIMES: Final = frozenset({"", "runc", "io.containerd.runc.v2", RUNTIME})
_IPC_MODES: Final = frozenset({"", "none", "private", "shareable", "host"})
_MODES: Final = {
    "CgroupnsMode": ("cgroup namespace mode", frozenset({"", "private", "host"})),
    "UTSMode": ("UTS mode", frozenset({"", "host"})),
    "UsernsMode": ("user namespace mode", frozenset({"", "host"})),
}


def validate(config: dict[str, Any], host: dict[str, Any], runtimes: Collection[str]) -> list[str]:
    """Raises InvalidArgument with the option's name; returns warnings. ``runtimes`` are the names beside our own."""
    _validate_config(config)
    _validate_modes(host)
    _validate_network(config, host)
    warnings = limits.validate(host)
    restart_policy.validate(host)
    log_config.validate(host)
    devices.validate(host)
    security.parse(host)
    capabilities.granted(host, privileged=bool(host.get("Privileged")))
    _refuse_missing(host)
    runtime = host.get("Runtime") or ""
    if runtime not in STOCK_RUNTIMES and runtime not in runtimes:
        raise InvalidArgument(f"unknown or invalid runtime name: {runtime}")
    if network_mode(host) == "host" and host.get("PortBindings"):
        warnings.append("Published ports are discarded when using host network mode")
    return warnings


def complete(host: dict[str, Any]) -> None:
    """Write down the defaults that Docker decides on at creation."""
    if host.get("Memory") and not host.get("MemorySwap"):
        host["MemorySwap"] = 2 * host["Memory"]
    if (host.get("PidsLimit") or 0) <= 0:
        host["PidsLimit"] = None
    if host.get("OomKillDisable") is None and abilities().oom_kill_disable:
        host["OomKillDisable"] = False
    if not host.get("NetworkMode") or host["NetworkMode"] == "default":
        host["NetworkMode"] = "bridge"
    policy = dict(host.get("RestartPolicy") or {})
    host["RestartPolicy"] = {"MaximumRetryCount": 0, **policy, "Name": policy.get("Name") or "no"}


def _validate_config(config: dict[str, Any]) -> None:
    for each in config.get("Env") or []:
        if not each.partition("=")[0]:
            raise InvalidArgument(f"invalid environment variable: {each}")
    directory = config.get("WorkingDir") or ""
    if directory:
        if not directory.startswith("/"):
            raise InvalidArgument(
                f"the working directory '{directory}' is invalid, it needs to be an absolute path"
            )
        config["WorkingDir"] = os.path.normpath(directory)
    health.validate(config)
    if config.get("StopSignal"):
        signals.number_of(config["StopSignal"])
    if config.get("Image"):
        _check_reference(config["Image"])


def _check_reference(text: str) -> None:
    if not text.removeprefix("sha256:").isalnum():
        parse(text)


def _validate_modes(host: dict[str, Any]) -> None:
    for key, (name, allowed) in _MODES.items():
        if (host.get(key) or "") not in allowed:
            raise InvalidArgument(f"invalid {name}: {host[key]}")
    pid, ipc = host.get("PidMode") or "", host.get("IpcMode") or ""
    if pid not in {"", "host"} and not _joins(pid):
        raise InvalidArgument(f"invalid PID mode: {pid}")
    if ipc not in _IPC_MODES and not _joins(ipc):
        raise InvalidArgument(f"invalid IPC mode: {ipc}")
    if (host.get("Isolation") or "default") != "default":
        raise InvalidArgument(f"invalid isolation '{host['Isolation']}' on linux")


def _joins(mode: str) -> bool:
    return mode.startswith(JOINED) and mode != JOINED


def _validate_network(config: dict[str, Any], host: dict[str, Any]) -> None:
    mode = network_mode(host)
    links = bool(host.get("Links"))
    if host.get("UTSMode") == "host" and config.get("Hostname"):
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    if mode == "host" and links:
        raise InvalidArgument(
            "conflicting options: host type networking can't be used with links. This would result in undefined behavior"
        )
    if not mode.startswith(JOINED):
        return
    if mode == JOINED:
        raise InvalidArgument("invalid network mode: invalid container format container:<name|id>")
    for conflict, words in (
        (config.get("Hostname"), "hostname and the network mode"),
        (links, "container type network can't be used with links. This would result in undefined behavior"),
        (host.get("Dns"), "dns and the network mode"),
        (host.get("ExtraHosts"), "custom host-to-IP mapping and the network mode"),
        (host.get("PortBindings") or host.get("PublishAllPorts"), "port publishing and the container type network mode"),
        (config.get("ExposedPorts"), "port exposing and the container type network mode"),
    ):  # fmt: skip
        if conflict:
            raise InvalidArgument(f"conflicting options: {words}")


def _refuse_missing(host: dict[str, Any]) -> None:
    """What would be ignored otherwise."""
    if host.get("StorageOpt"):
        raise InvalidArgument(
            "--storage-opt is supported only for overlay over xfs with 'pquota' mount option"
        )
    for key in ("Cgroup", "KernelMemory", "KernelMemoryTCP", "CpuCount"):
        if host.get(key):
            raise InvalidArgument(f"HostConfig.{key} is not supported")
