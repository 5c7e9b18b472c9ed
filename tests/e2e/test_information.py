"""`docker info` and `docker version`: what is told is true of this host and these programs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.support.stack import BIN, Stack


def test_the_programs_below(stack: Stack) -> None:
    told = subprocess.run(
        [BIN / "dockyard-runtime", "--version"], capture_output=True, text=True, check=True
    )
    _, document = stack.request("GET", "/version")
    versions = {each["Name"]: each["Version"] for each in document["Components"]}
    assert list(versions) == ["Engine", "containerd", "runc", "docker-init"]
    assert versions["runc"] == told.stdout.split()[2]
    _, info = stack.request("GET", "/info")
    for key in ("ContainerdCommit", "RuncCommit", "InitCommit"):
        assert info[key]["ID"] not in {"", "N/A"}
    features = info["Runtimes"]["runc"]["status"]["org.opencontainers.runtime-spec.features"]
    assert json.loads(features)["ociVersionMax"]


def test_what_the_host_is(stack: Stack) -> None:
    _, info = stack.request("GET", "/info")
    release = dict(
        line.partition("=")[::2] for line in Path("/etc/os-release").read_text().splitlines()
    )
    assert info["OSVersion"] == release["VERSION_ID"].strip('"')
    forwarding = Path("/proc/sys/net/ipv4/ip_forward").read_text().strip() == "1"
    assert info["IPv4Forwarding"] is forwarding
    assert info["CpuCfsQuota"] is info["PidsLimit"] is True
    assert info["OomKillDisable"] is os.path.exists("/sys/fs/cgroup/memory/memory.oom_control")
    assert info["FirewallBackend"] == {"Driver": "nftables"}
    assert info["Containerd"]["Namespaces"] == {"Containers": "moby", "Plugins": "plugins.moby"}
    assert os.path.exists(info["Containerd"]["Address"])
    assert info["DiscoveredDevices"] == []


def test_older_versions_know_less(stack: Stack) -> None:
    _, old = stack.request("GET", "/v1.40/info")
    assert {"Containerd", "FirewallBackend", "DiscoveredDevices"}.isdisjoint(old)
    assert "status" not in old["Runtimes"]["runc"]
    assert old["RuncCommit"]["Expected"] == old["RuncCommit"]["ID"]
    _, newer = stack.request("GET", "/v1.48/info")
    assert "Containerd" in newer
    assert "FirewallBackend" not in newer


def test_figures_of_each_processor(stack: Stack) -> None:
    stack.docker("run", "-d", "--name", "box", "busybox", "sh", "-c", "while :; do :; done")
    _, answer = stack.request("GET", "/containers/box/stats?stream=0&one-shot=1")
    usage, block = answer["cpu_stats"]["cpu_usage"], answer["blkio_stats"]
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        assert "percpu_usage" not in usage
        return
    assert abs(sum(usage["percpu_usage"]) - usage["total_usage"]) < 1e9
    assert len(usage["percpu_usage"]) >= answer["cpu_stats"]["online_cpus"]
    assert block["io_queue_recursive"] == []
    assert isinstance(block["io_serviced_recursive"], list)
