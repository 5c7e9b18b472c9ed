"""Limits in v1's terms, as engines write them, become those of v2; and they hold."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cgroup2.conftest import ROOT, Group
from tests.runtime.conftest import PARENT, Box

MIB = 1 << 20


def limit(box: Box, **resources: Any) -> None:
    box.linux["resources"] |= resources


def test_the_container_is_born_in_its_cgroup(box: Box) -> None:
    assert box.sh("cat /proc/self/cgroup") == [f"0::{box.linux['cgroupsPath']}"]


def test_an_additional_process_is_there_too(box: Box, group: Group) -> None:
    box.start("sleep", "100")
    assert box.exec("cat", "/proc/self/cgroup").lines == [f"0::{box.linux['cgroupsPath']}"]
    assert group["cgroup.procs"].split() == [str(box.pid)]


def test_memory(box: Box, group: Group) -> None:
    limit(box, memory={"limit": 64 * MIB, "reservation": 32 * MIB})
    box.start("sleep", "100")
    assert group["memory.max"] == str(64 * MIB)
    assert group["memory.low"] == str(32 * MIB)


def test_swap_is_what_goes_beyond_the_memory(box: Box, group: Group) -> None:
    limit(box, memory={"limit": 64 * MIB, "swap": 96 * MIB})
    box.start("sleep", "100")
    assert group["memory.max"] == str(64 * MIB)
    if group.has("memory.swap.max"):
        assert group["memory.swap.max"] == str(32 * MIB)


def test_a_total_below_the_memory_is_refused(box: Box, group: Group) -> None:
    limit(box, memory={"limit": 64 * MIB, "swap": 32 * MIB})
    box.write()
    result = box.call("create", "--bundle", str(box.bundle), box.name)
    assert result.code == 1
    assert "memory+swap limit" in result.err
    assert not group.path.exists()


@pytest.mark.parametrize(("shares", "weight"), [(2, 1), (512, 59), (1024, 100), (262144, 10000)])
def test_shares_become_a_weight(box: Box, group: Group, shares: int, weight: int) -> None:
    limit(box, cpu={"shares": shares})
    box.start("sleep", "100")
    assert group["cpu.weight"] == str(weight)


def test_quota_and_period(box: Box, group: Group) -> None:
    limit(box, cpu={"quota": 20000, "period": 50000})
    box.start("sh", "-c", "while :; do :; done")
    assert group["cpu.max"] == "20000 50000"


def test_the_quota_holds(box: Box, group: Group) -> None:
    limit(box, cpu={"quota": 10000, "period": 100000})
    box.create("sh", "-c", "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done")
    box.ok("start", box.name)
    box.wait(60)
    assert group.pairs("cpu.stat")["nr_throttled"] > 0


def test_a_quota_without_a_period(box: Box, group: Group) -> None:
    limit(box, cpu={"quota": 25000})
    box.start("sleep", "100")
    assert group["cpu.max"] == "25000 100000"


def test_pids_hold(box: Box, group: Group) -> None:
    limit(box, pids={"limit": 4})
    box.start("sh", "-c", "sleep 100 & sleep 100 & sleep 100 & sleep 100 & sleep 100 & wait")
    result = box.exec("true")
    assert group["pids.max"] == "4"
    events = group.pairs("pids.events")
    assert events["max"] >= 1 or result.code != 0


def test_no_limit_of_pids(box: Box, group: Group) -> None:
    limit(box, pids={"limit": -1})
    box.start("sleep", "100")
    assert group["pids.max"] == "max"


def test_update_changes_a_running_container(box: Box, group: Group) -> None:
    limit(box, memory={"limit": 64 * MIB}, pids={"limit": 50})
    box.start("sleep", "100")
    fresh = {
        "memory": {"limit": 96 * MIB},
        "cpu": {"shares": 2048, "quota": 50000, "period": 100000},
        "pids": {"limit": 60},
    }
    box.ok("update", "--resources", "-", box.name, stdin=json.dumps(fresh).encode())
    assert group["memory.max"] == str(96 * MIB)
    assert group["cpu.max"] == "50000 100000"
    assert group["pids.max"] == "60"
    assert int(group["cpu.weight"]) > 100


def test_out_of_memory_kills(box: Box, group: Group) -> None:
    limit(box, memory={"limit": 16 * MIB, "swap": 16 * MIB})
    box.create("sh", "-c", "tail /dev/zero; echo $? >&2; exec tail /dev/zero")
    box.ok("start", box.name)
    box.wait(60)
    assert box.state()["status"] == "stopped"
    assert group.pairs("memory.events")["oom_kill"] == 2
    # The shell saw the first victim's signal; the second was the container's own process.
    assert "137" in box.output()
    box.ok("delete", box.name)
    assert not group.path.exists()


def test_out_of_memory_code_of_run(box: Box) -> None:
    limit(box, memory={"limit": 16 * MIB, "swap": 16 * MIB})
    assert box.run("tail", "/dev/zero").code == 137


def test_block_devices_are_limited_or_refused_by_name(box: Box, group: Group) -> None:
    device = {"major": 1, "minor": 0, "rate": 1 * MIB}
    limit(box, blockIO={"throttleReadBpsDevice": [device]})
    box.write()
    result = box.call("create", "--bundle", str(box.bundle), box.name)
    if result.code:
        assert "io.max" in result.err
    else:
        assert "1:0 rbps=1048576" in group["io.max"]


def test_unified_values_are_written_as_they_are(box: Box, group: Group) -> None:
    limit(
        box,
        unified={
            "memory.high": "33554432",
            "pids.max": "77",
            "cpu.weight": "321",
            "memory.oom.group": "1",
        },
    )
    box.start("sleep", "100")
    assert group["memory.high"] == "33554432"
    assert (group["pids.max"], group["cpu.weight"], group["memory.oom.group"]) == ("77", "321", "1")


def test_unified_values_win(box: Box, group: Group) -> None:
    limit(box, pids={"limit": 10}, unified={"pids.max": "20"})
    box.start("sleep", "100")
    assert group["pids.max"] == "20"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory.nosuch", "1"),
        ("memory.max", "plenty"),
        ("cgroup.procs", "1"),
        ("cgroup.subtree_control", "+memory"),
        ("../memory.max", "1"),
        ("sub/memory.max", "1"),
    ],
)
def test_bad_unified_values_are_refused_by_name(
    box: Box, group: Group, name: str, value: str
) -> None:
    limit(box, unified={name: value})
    box.write()
    result = box.call("create", "--bundle", str(box.bundle), box.name)
    assert result.code == 1
    assert name in result.err, result
    assert not group.path.exists()
    assert not box.root.exists() or list(box.root.iterdir()) == []


def test_controllers_are_enabled_on_the_way(box: Box, group: Group) -> None:
    box.start("sleep", "100")
    wanted = set((ROOT / "cgroup.controllers").read_text().split())
    assert set((ROOT / PARENT / "cgroup.subtree_control").read_text().split()) == wanted
    assert set(group["cgroup.controllers"].split()) == wanted


def test_oom_score_of_a_container(box: Box) -> None:
    box.process["oomScoreAdj"] = 321
    assert box.sh("cat /proc/self/oom_score_adj") == ["321"]
