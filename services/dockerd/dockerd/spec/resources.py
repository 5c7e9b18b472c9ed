"""Limits: HostConfig as linux.resources, and the cgroup they are set on."""

from __future__ import annotations

import os
from typing import Any, Final

from dockerd.spec import devices
from wire.errors import InvalidArgument

_PERIOD: Final = 100_000
_NANOS_PER_QUOTA: Final = 10_000
_THROTTLES: Final = {
    "BlkioDeviceReadBps": "throttleReadBpsDevice",
    "BlkioDeviceWriteBps": "throttleWriteBpsDevice",
    "BlkioDeviceReadIOps": "throttleReadIOPSDevice",
    "BlkioDeviceWriteIOps": "throttleWriteIOPSDevice",
}
_CPU: Final = {
    "CpuShares": "shares",
    "CpuPeriod": "period",
    "CpuQuota": "quota",
    "CpusetCpus": "cpus",
    "CpusetMems": "mems",
    "CpuRealtimePeriod": "realtimePeriod",
    "CpuRealtimeRuntime": "realtimeRuntime",
}


def cgroup_path(container_id: str, host: dict[str, Any]) -> str:
    """The container's cgroup, below the root of every hierarchy."""
    parent = str(host.get("CgroupParent") or "/docker")
    return f"/{parent.strip('/')}/{container_id}"


def limits(host: dict[str, Any], *, privileged: bool = False) -> dict[str, Any]:
    """linux.resources from HostConfig; raises InvalidArgument for a device that does not exist."""
    found: dict[str, Any] = {"memory": _memory(host), "cpu": _cpu(host)}
    if host.get("PidsLimit"):
        found["pids"] = {"limit": host["PidsLimit"]}
    if block := _block(host):
        found["blockIO"] = block
    found["devices"] = _devices(host, privileged=privileged)
    return found


def _memory(host: dict[str, Any]) -> dict[str, Any]:
    memory: dict[str, Any] = {}
    if host.get("Memory"):
        memory["limit"] = host["Memory"]
    if host.get("MemorySwap"):
        memory["swap"] = host["MemorySwap"]
    if host.get("MemoryReservation"):
        memory["reservation"] = host["MemoryReservation"]
    if host.get("OomKillDisable"):
        memory["disableOOMKiller"] = True
    swappiness = host.get("MemorySwappiness")
    if swappiness is not None and swappiness >= 0:
        memory["swappiness"] = swappiness
    return memory


def _cpu(host: dict[str, Any]) -> dict[str, Any]:
    cpu = {target: host[source] for source, target in _CPU.items() if host.get(source)}
    if host.get("NanoCpus"):
        cpu["period"] = _PERIOD
        cpu["quota"] = host["NanoCpus"] // _NANOS_PER_QUOTA
    return cpu


def _block(host: dict[str, Any]) -> dict[str, Any]:
    block: dict[str, Any] = {}
    if host.get("BlkioWeight"):
        block["weight"] = host["BlkioWeight"]
    if host.get("BlkioWeightDevice"):
        block["weightDevice"] = [
            {**_number(each["Path"]), "weight": each["Weight"]}
            for each in host["BlkioWeightDevice"]
        ]
    for source, target in _THROTTLES.items():
        if host.get(source):
            block[target] = [
                {**_number(each["Path"]), "rate": each["Rate"]} for each in host[source]
            ]
    return block


def _number(path: str) -> dict[str, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise InvalidArgument(f"stat {path}: {(error.strerror or '').lower()}") from None
    return {"major": os.major(status.st_rdev), "minor": os.minor(status.st_rdev)}


def _devices(host: dict[str, Any], *, privileged: bool) -> list[dict[str, Any]]:
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    return [
        {"allow": False, "access": "rwm"},
        *devices.access(host),
        *(devices.rule(text) for text in host.get("DeviceCgroupRules") or []),
    ]
