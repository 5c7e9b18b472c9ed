"""Limits: HostConfig as linux.resources, and the cgroup they are set on."""

from __future__ import annotations

from typing import Any

from dockerd.spec import devices


def cgroup_path(container_id: str, host: dict[str, Any]) -> str:
    """The container's cgroup, below the root of every hierarchy."""
    parent = str(host.get("CgroupParent") or "/docker")
    return f"/{parent.strip('/')}/{container_id}"


def limits(host: dict[str, Any], *, privileged: bool = False) -> dict[str, Any]:
    """linux.resources from HostConfig."""
    memory: dict[str, Any] = {}
    if host.get("Memory"):
        memory["limit"] = host["Memory"]
        swap = host.get("MemorySwap") or 0
        memory["swap"] = swap or 2 * host["Memory"]
    if host.get("MemoryReservation"):
        memory["reservation"] = host["MemoryReservation"]
    if host.get("OomKillDisable"):
        memory["disableOOMKiller"] = True
    if (host.get("MemorySwappiness") or -1) >= 0:
        memory["swappiness"] = host["MemorySwappiness"]
    cpu: dict[str, Any] = {}
    if host.get("NanoCpus"):
        cpu["period"] = 100_000
        cpu["quota"] = host["NanoCpus"] // 10_000
    for source, target in (
        ("CpuShares", "shares"),
        ("CpuPeriod", "period"),
        ("CpuQuota", "quota"),
        ("CpusetCpus", "cpus"),
        ("CpusetMems", "mems"),
    ):
        if host.get(source):
            cpu[target] = host[source]
    found: dict[str, Any] = {"memory": memory, "cpu": cpu}
    if host.get("PidsLimit"):
        found["pids"] = {"limit": host["PidsLimit"]}
    if host.get("BlkioWeight"):
        found["blockIO"] = {"weight": host["BlkioWeight"]}
    if privileged:
        found["devices"] = [{"allow": True, "access": "rwm"}]
    else:
        found["devices"] = [
            {"allow": False, "access": "rwm"},
            *(
                {
                    "allow": True,
                    "type": each["type"],
                    "major": each["major"],
                    "minor": each["minor"],
                    "access": "rwm",
                }
                for each in devices.requested(host)
            ),
        ]
    return found
