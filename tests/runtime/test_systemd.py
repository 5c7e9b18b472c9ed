"""The systemd driver, against a stand-in for systemd's manager: there is no systemd where tests run."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.conftest import Box, Result
from tests.support.systemd import Manager

# Of this run alone.
SLICE = f"dockyardtest{os.getpid()}-inner.slice"
OUTER = f"dockyardtest{os.getpid()}.slice"


@pytest.fixture
def manager(box: Box) -> Iterator[Manager]:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("the stand-in makes cgroups of v1")
    made = Manager(box.directory / "bus.sock")
    box.linux["cgroupsPath"] = f"{SLICE}:dockyard:{box.name}"
    yield made
    call(box, "delete", "--force", box.name)
    made.close()
    for hierarchy in Path("/sys/fs/cgroup").iterdir():
        for folder in (hierarchy / OUTER / SLICE, hierarchy / OUTER):
            if folder.exists():
                folder.rmdir()


def call(box: Box, *words: str) -> Result:
    address = f"unix:path={box.directory}/bus.sock,guid=1"
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": address}
    with (box.directory / "out").open("w+") as out:
        done = subprocess.run(
            box.argv("--systemd-cgroup", *words),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            timeout=40,
            check=False,
        )
        out.seek(0)
        return Result(done.returncode, out.read(), "")


def create(box: Box) -> Result:
    box.process["args"] = ["sleep", "100"]
    box.write()
    return call(box, "create", "--bundle", str(box.bundle), box.name)


def test_a_scope_is_made_with_its_limits_and_stopped(box: Box, manager: Manager) -> None:
    box.linux["resources"] |= {
        "memory": {"limit": 64 << 20},
        "cpu": {"shares": 512, "quota": 50_000, "period": 100_000},
        "pids": {"limit": 42},
    }
    box.config["annotations"] = {
        "org.systemd.property.TimeoutStopSec": "7",
        "org.systemd.property.CollectMode": "'inactive-or-failed'",
    }
    result = create(box)
    assert result.code == 0, result
    (arguments,) = manager.named("StartTransientUnit")
    unit, mode, properties, _ = arguments
    assert (unit, mode) == (f"dockyard-{box.name}.scope", "replace")
    found = dict(properties)
    state = json.loads(call(box, "state", box.name).out)
    assert found["PIDs"] == [state["pid"]]
    assert (found["Slice"], found["Delegate"], found["DefaultDependencies"]) == (SLICE, True, False)
    assert (found["MemoryLimit"], found["CPUShares"], found["TasksMax"]) == (64 << 20, 512, 42)
    assert (found["CPUQuotaPerSecUSec"], found["CPUQuotaPeriodUSec"]) == (500_000, 100_000)
    assert (found["TimeoutStopUSec"], found["CollectMode"]) == (7_000_000, "inactive-or-failed")
    assert found["DevicePolicy"] == "strict"
    assert ("/dev/char/1:3", "rwm") in found["DeviceAllow"]
    group = Path("/sys/fs/cgroup/memory", OUTER, SLICE, unit)
    assert (group / "memory.limit_in_bytes").read_text().strip() == str(64 << 20)
    assert str(state["pid"]) in (group / "cgroup.procs").read_text().split()
    assert call(box, "update", "--memory", "96M", "--pids-limit", "77", box.name).code == 0
    (update,) = manager.named("SetUnitProperties")
    assert update[:2] == [unit, True]
    assert dict(update[2]) == {"MemoryLimit": 96 << 20, "TasksMax": 77}
    assert call(box, "delete", "--force", box.name).code == 0
    assert manager.named("StopUnit") == [[unit, "replace"]]
    assert manager.named("ResetFailedUnit") == [[unit]]
    assert not group.exists()


def test_a_group_below_the_scope(box: Box, manager: Manager) -> None:
    box.config["annotations"] = {"run.oci.systemd.subgroup": "container"}
    result = create(box)
    assert result.code == 0, result
    group = Path("/sys/fs/cgroup/memory", OUTER, SLICE, f"dockyard-{box.name}.scope", "container")
    state = json.loads(call(box, "state", box.name).out)
    assert (group / "cgroup.procs").read_text().split() == [str(state["pid"])]
    assert call(box, "delete", "--force", box.name).code == 0
    assert not group.exists()
    box.config["annotations"] = {"run.oci.systemd.subgroup": "../container"}
    assert "run.oci.systemd.subgroup" in create(box).out


def test_a_failed_unit_of_that_name_is_reset(box: Box, manager: Manager) -> None:
    manager.exists_once = True
    result = create(box)
    assert result.code == 0, result
    assert len(manager.named("StartTransientUnit")) == 2
    assert len(manager.named("ResetFailedUnit")) == 1


def test_a_refusal_is_told_and_leaves_nothing(box: Box, manager: Manager) -> None:
    manager.refuse = "You may not."
    result = create(box)
    assert result.code == 1
    assert "You may not." in result.out
    assert list(box.root.iterdir()) == []
    assert not list(Path("/sys/fs/cgroup").glob(f"*/{OUTER}/{SLICE}/*.scope"))


@pytest.mark.parametrize(
    ("annotation", "value"),
    [("org.systemd.property.Odd", "nonsense"), ("org.systemd.property.A/B", "1")],
)
def test_a_bad_property_is_named(box: Box, manager: Manager, annotation: str, value: str) -> None:
    box.config["annotations"] = {annotation: value}
    result = create(box)
    assert annotation in result.out
    assert manager.calls == []


def test_nobody_at_the_bus(box: Box, manager: Manager) -> None:
    manager.close()
    (box.directory / "bus.sock").unlink()
    result = create(box)
    assert "connect to systemd" in result.out
    assert list(box.root.iterdir()) == []
