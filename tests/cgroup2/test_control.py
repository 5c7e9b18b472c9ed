"""Freezing, killing, counting and removing whole containers."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from tests.cgroup2.conftest import ROOT, Group
from tests.runtime.conftest import Box, alive, mount

SPIN = "i=0; while :; do i=$((i+1)); done"


def without_pid_namespace(box: Box) -> None:
    box.linux["namespaces"] = [each for each in box.linux["namespaces"] if each["type"] != "pid"]


def test_a_frozen_container_does_not_run(box: Box, group: Group) -> None:
    box.start("sh", "-c", SPIN)
    box.ok("pause", box.name)
    assert box.state()["status"] == "paused"
    assert group["cgroup.freeze"] == "1"
    assert group.pairs("cgroup.events") == {"populated": 1, "frozen": 1}
    used = group.pairs("cpu.stat")["usage_usec"]
    time.sleep(0.2)
    assert group.pairs("cpu.stat")["usage_usec"] == used
    box.ok("resume", box.name)
    assert box.state()["status"] == "running"
    assert group.pairs("cgroup.events")["frozen"] == 0


def test_a_frozen_container_refuses_more_processes(box: Box) -> None:
    box.start("sleep", "100")
    box.ok("pause", box.name)
    result = box.call("exec", box.name, "true")
    assert result.code == 255
    assert "paused" in result.err


def test_a_frozen_container_dies_by_force(box: Box, group: Group) -> None:
    box.start("sh", "-c", SPIN)
    box.ok("pause", box.name)
    box.ok("delete", "--force", box.name)
    assert not group.path.exists()


def test_kill_reaches_a_frozen_process(box: Box) -> None:
    box.start("sleep", "100")
    box.ok("pause", box.name)
    box.ok("kill", box.name, "KILL")
    box.wait()
    assert box.state()["status"] == "stopped"


def test_all_processes_are_killed_at_once(box: Box, group: Group) -> None:
    """cgroup.kill: no process forks away, as this bomb tries to."""
    without_pid_namespace(box)
    box.linux["resources"]["pids"] = {"limit": 40}
    (box.rootfs / "bomb").write_text("#!/bin/sh\n/bomb & /bomb & sleep 1000\n")
    (box.rootfs / "bomb").chmod(0o755)
    box.start("/bomb")
    pids = [int(pid) for pid in group["cgroup.procs"].split()]
    box.ok("kill", "--all", box.name, "KILL")
    box.wait()
    box.ok("delete", box.name)
    assert not group.path.exists()
    assert not [pid for pid in pids if alive(pid)]


def test_signals_other_than_kill_reach_all(box: Box) -> None:
    without_pid_namespace(box)
    box.start(
        "sh",
        "-c",
        "trap : USR1; (trap 'echo got' USR1; sleep 1000 & wait) & wait; sleep 1000 & wait",
    )
    box.exec("true")
    box.ok("kill", "--all", box.name, "USR1")
    assert box.state()["status"] == "running"
    box.ok("delete", "--force", box.name)


def test_what_outlives_the_first_process_is_killed(box: Box, group: Group) -> None:
    without_pid_namespace(box)
    box.start("sh", "-c", "sleep 1000 & echo $!; exit")
    box.wait()
    box.ok("delete", box.name)
    assert not alive(int(box.output()))
    assert not group.path.exists()


def test_a_tree_below_is_removed(box: Box, group: Group) -> None:
    """A container with a cgroup namespace and a writable mount makes cgroups of its own."""
    box.linux["namespaces"].append({"type": "cgroup"})
    box.config["mounts"] = [each for each in box.mounts if each["destination"] != "/sys/fs/cgroup"]
    box.mounts.append(mount("cgroup", "/sys/fs/cgroup", "nosuid", "noexec", "nodev"))
    os.mkfifo(box.rootfs / "ready")
    moved = "echo 1 >/sys/fs/cgroup/init/cgroup.procs; cat /proc/self/cgroup"
    box.start(
        "sh", "-ec", f"cd /sys/fs/cgroup; mkdir -p a/b init; {moved}; echo >/ready; exec sleep 1000"
    )
    assert (box.rootfs / "ready").read_text() == "\n"
    assert box.output() == "0::/init\n"
    assert (group.path / "a/b").exists()
    box.ok("delete", "--force", box.name)
    assert not group.path.exists()


def test_the_container_sees_its_own_tree_read_only(box: Box) -> None:
    """With and without a cgroup namespace, and nothing of others."""
    (ROOT / "dockyard-other").mkdir()
    try:
        script = """cd /sys/fs/cgroup; cat pids.max; ls -d dockyard* 2>/dev/null || :
            (echo 5 >pids.max) 2>/dev/null || echo read-only"""
        box.linux["resources"]["pids"] = {"limit": 33}
        assert box.sh(script) == ["33", "read-only"]
        box.linux["namespaces"].append({"type": "cgroup"})
        assert box.sh(script) == ["33", "read-only"]
    finally:
        (ROOT / "dockyard-other").rmdir()


def test_statistics(box: Box, group: Group) -> None:
    box.linux["resources"] |= {"memory": {"limit": 64 << 20}, "pids": {"limit": 20}}
    box.start("sh", "-c", "head -c 8000000 /dev/zero >/dev/shm/data; sleep 100")
    deadline = time.monotonic() + 20
    while int(group["memory.current"]) < 8_000_000:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    data = json.loads(box.ok("events", "--stats", box.name).out)["data"]
    assert data["pids"]["current"] == int(group["pids.current"]) > 0
    assert data["pids"]["limit"] == 20
    assert data["memory"]["usage"]["limit"] == 64 << 20
    assert 8_000_000 <= data["memory"]["usage"]["usage"] <= 64 << 20
    assert data["memory"]["raw"]["shmem"] >= 8_000_000
    usage = group.pairs("cpu.stat")["usage_usec"] * 1000
    assert 0 < data["cpu"]["usage"]["total"] <= usage


def test_the_processes_of_a_container(box: Box) -> None:
    box.start("sh", "-c", "sleep 1000 & wait")
    box.exec("true")
    assert len(json.loads(box.ok("ps", "--format", "json", box.name).out)) == 2
    assert Path(f"/proc/{box.pid}").exists()
