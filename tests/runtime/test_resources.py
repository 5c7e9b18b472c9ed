"""`linux.resources` on cgroup v1: what the kernel has in its files. tests/cgroup2 is about v2."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.runtime.conftest import PARENT, Box

ROOT = Path("/sys/fs/cgroup")
MIB = 1 << 20

pytestmark = pytest.mark.skipif((ROOT / "cgroup.controllers").exists(), reason="files of cgroup v1")


def created(box: Box, **resources: Any) -> None:
    box.linux["resources"] |= resources
    box.create("true")


def value(box: Box, file: str) -> str:
    folder = box.cgroup(file.split(".", maxsplit=1)[0])
    if not folder.parent.parent.exists() or not (folder / file).exists():
        pytest.skip(f"this host has no {file}")
    return (folder / file).read_text().strip()


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"memory": {"limit": 64 * MIB}}, {"memory.limit_in_bytes": str(64 * MIB)}),
        (
            {"memory": {"limit": 64 * MIB, "swap": 80 * MIB}},
            {
                "memory.limit_in_bytes": str(64 * MIB),
                "memory.memsw.limit_in_bytes": str(80 * MIB),
            },
        ),
        ({"memory": {"reservation": 32 * MIB}}, {"memory.soft_limit_in_bytes": str(32 * MIB)}),
        ({"memory": {"kernelTCP": 8 * MIB}}, {"memory.kmem.tcp.limit_in_bytes": str(8 * MIB)}),
        ({"memory": {"swappiness": 33}}, {"memory.swappiness": "33"}),
        ({"cpu": {"shares": 333}}, {"cpu.shares": "333"}),
        (
            {"cpu": {"period": 50000, "quota": 20000, "burst": 10000}},
            {
                "cpu.cfs_period_us": "50000",
                "cpu.cfs_quota_us": "20000",
                "cpu.cfs_burst_us": "10000",
            },
        ),
        ({"cpu": {"idle": 1}}, {"cpu.idle": "1"}),
        ({"cpu": {"cpus": "0"}}, {"cpuset.cpus": "0"}),
        ({"cpu": {"mems": "0"}}, {"cpuset.mems": "0"}),
        ({"pids": {"limit": 44}}, {"pids.max": "44"}),
        ({"blockIO": {"weight": 222}}, {"blkio.bfq.weight": "222"}),
    ],
)
def test_values_in_the_kernel(
    box: Box, resources: dict[str, Any], expected: dict[str, str]
) -> None:
    created(box, **resources)
    assert {file: value(box, file) for file in expected} == expected


@pytest.mark.parametrize("name", ["cpus", "mems"])
def test_cpus_and_nodes_that_are_not_there(box: Box, name: str) -> None:
    box.linux["resources"]["cpu"] = {name: "4000"}
    box.write()
    result = box.call("create", "--bundle", str(box.bundle), box.name)
    assert result.code == 1
    assert f"cpuset.{name}" in result.err


def test_processes_wait_instead_of_being_killed(box: Box) -> None:
    created(box, memory={"disableOOMKiller": True})
    assert "oom_kill_disable 1" in value(box, "memory.oom_control").splitlines()


def test_realtime(box: Box) -> None:
    parent = ROOT / "cpu" / PARENT
    parent.mkdir(exist_ok=True)
    if not (parent / "cpu.rt_runtime_us").exists():
        pytest.skip("this kernel has no realtime groups")
    (parent / "cpu.rt_runtime_us").write_text("50000")
    created(box, cpu={"realtimePeriod": 500_000, "realtimeRuntime": 10_000})
    assert value(box, "cpu.rt_period_us") == "500000"
    assert value(box, "cpu.rt_runtime_us") == "10000"
    box.ok("update", "--cpu-rt-period", "400000", "--cpu-rt-runtime", "5000", box.name)
    assert value(box, "cpu.rt_period_us") == "400000"
    assert value(box, "cpu.rt_runtime_us") == "5000"


@pytest.fixture
def device() -> tuple[int, int]:
    """Numbers of a block device that this host has."""
    for each in sorted(Path("/sys/block").glob("*/dev")):
        major, minor = each.read_text().split(":")
        if minor.strip() != "0":
            return int(major), int(minor)
    pytest.skip("this host has no block device")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("throttleReadBpsDevice", "read_bps_device"),
        ("throttleWriteBpsDevice", "write_bps_device"),
        ("throttleReadIOPSDevice", "read_iops_device"),
        ("throttleWriteIOPSDevice", "write_iops_device"),
    ],
)
def test_rates_of_devices(box: Box, device: tuple[int, int], name: str, file: str) -> None:
    major, minor = device
    created(box, blockIO={name: [{"major": major, "minor": minor, "rate": 7 * MIB}]})
    assert value(box, f"blkio.throttle.{file}") == f"{major}:{minor} {7 * MIB}"


@pytest.mark.parametrize(
    ("blockio", "file", "text"),
    [
        ({"leafWeight": 300}, "blkio.leaf_weight", "300"),
        ({"weightDevice": [{"weight": 321}]}, "weight_device", "{} 321"),
        ({"weightDevice": [{"leafWeight": 321}]}, "blkio.leaf_weight_device", "{} 321"),
    ],
)
def test_weights_are_set_or_named(
    box: Box, device: tuple[int, int], blockio: dict[str, Any], file: str, text: str
) -> None:
    """The kernel's schedulers decide which of these there are."""
    for each in blockio.get("weightDevice", []):
        each["major"], each["minor"] = device
    text = text.format(":".join(map(str, device)))
    box.linux["resources"]["blockIO"] = blockio
    box.process["args"] = ["true"]
    box.write()
    with (box.directory / "out").open("wb") as out:
        argv = box.argv("create", "--bundle", str(box.bundle), box.name)
        code = subprocess.run(argv, stdout=out, stderr=out, timeout=30, check=False).returncode
    if code:
        # The whole of it: which file, and what was written there.
        assert file in box.output(), box.output()
        assert f'"{text}"' in box.output()
        assert not box.root.exists() or list(box.root.iterdir()) == []
    else:
        found = [each.read_text() for each in box.cgroup("blkio").glob(f"*{file}")]
        assert any(text in each for each in found), found


def with_hierarchy(box: Box, controllers: str, *files: str) -> list[str]:
    """Create a container beside a mounted hierarchy, in a mount namespace of the test's own; the lines of its files there."""
    box.process["args"] = ["true"]
    box.write()
    folder = ROOT / controllers.split(",", maxsplit=1)[0]
    group = f"{folder}{box.linux['cgroupsPath']}"
    if not folder.is_dir():
        pytest.skip(f"{folder} is no place for a mount")
    create = shlex.join(box.argv("create", "--bundle", str(box.bundle), box.name))
    delete = shlex.join(box.argv("delete", "--force", box.name))
    script = f"""
    mount -t cgroup -o {controllers} none {folder} || exit 77
    {create} </dev/null >{box.directory}/out 2>&1
    cat {" ".join(f"{group}/{each}" for each in files)}
    {delete}; rmdir {Path(group).parent}"""
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode == 77:
        pytest.skip(f"this host mounts no {controllers}")
    assert done.stderr == "", (done, box.output())
    return done.stdout.splitlines()


def test_marks_on_packets(box: Box) -> None:
    box.linux["resources"]["network"] = {
        "classID": 0x100001,
        "priorities": [{"name": "lo", "priority": 5}],
    }
    found = with_hierarchy(box, "net_cls,net_prio", "net_cls.classid", "net_prio.ifpriomap")
    assert found[0] == str(0x100001)
    assert "lo 5" in found[1:]


def test_huge_pages(box: Box) -> None:
    box.linux["resources"]["hugepageLimits"] = [{"pageSize": "2MB", "limit": 4 * MIB}]
    found = with_hierarchy(
        box, "hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.rsvd.limit_in_bytes"
    )
    assert found == [str(4 * MIB)] * 2


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ({"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 100}}}, "rdma"),
        ({"network": {"classID": 5}}, "net_cls"),
        ({"network": {"priorities": [{"name": "lo", "priority": 5}]}}, "net_prio"),
        ({"hugepageLimits": [{"pageSize": "2MB", "limit": 0}]}, "hugetlb"),
    ],
)
def test_controllers_that_are_not_there_are_named(
    box: Box, resources: dict[str, Any], words: str
) -> None:
    mounted = Path("/proc/self/mountinfo").read_text()
    if f"/{words} " in mounted or f"{words}," in mounted:
        pytest.skip("it is there")
    box.linux["resources"] |= resources
    box.write()
    result = box.call("create", "--bundle", str(box.bundle), box.name)
    assert result.code == 1
    assert words in result.err
    assert not box.cgroup("memory").exists()
    assert not box.root.exists() or list(box.root.iterdir()) == []


def test_values_for_files_of_v2_are_refused(box: Box) -> None:
    box.linux["resources"]["unified"] = {"memory.high": "1"}
    box.write()
    result = box.call("create", "--bundle", str(box.bundle), box.name)
    assert "linux.resources.unified: memory.high needs cgroup v2" in result.err


RDT = {
    "schemata": ["L3:0=3", "MB:0=30"],
    "l3CacheSchema": "L3:0=7",
    "memBwSchema": "MB:0=70",
    "enableMonitoring": True,
}


@pytest.mark.parametrize("name", ["", "shared"])
def test_cache_and_bandwidth_of_intel(box: Box, name: str) -> None:
    """The file system of a host with RDT, by ordinary files: the kernel's would make them with each group."""
    base = box.directory / "sysfs"
    (base / "resctrl").mkdir(parents=True)
    (base / "cgroup").mkdir()
    (base / "resctrl/schemata").write_text("L3:0=f\n")
    group = base / "resctrl" / (name or box.name)
    for folder in (group / "mon_groups",):
        folder.mkdir(parents=True)
    (group / "schemata").write_text("L3:0=3\nMB:0=30\nL3:0=7\nMB:0=70\n" if name else "")
    box.linux["intelRdt"] = {**RDT, "closID": name}
    box.process["args"] = ["true"]
    box.write()

    def call(*words: str) -> int:
        script = f'mount --rbind {ROOT} {base}/cgroup; mount --rbind {base} /sys/fs; exec "$@"'
        with (box.directory / "out").open("wb") as out:
            return subprocess.run(
                [
                    "unshare",
                    "--mount",
                    "--propagation",
                    "private",
                    "sh",
                    "-c",
                    script,
                    "sh",
                    *box.argv(*words),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=30,
                check=False,
            ).returncode

    assert call("create", "--bundle", str(box.bundle), box.name) == 0, box.output()
    pid = str(box.pid)
    assert (group / "tasks").read_text() == pid
    assert (group / f"mon_groups/{box.name}/tasks").read_text() == pid
    if not name:
        # Each line is a write of its own; the last one is left in an ordinary file.
        assert (group / "schemata").read_text() == "MB:0=70\n"
    words = ("update", "--l3-cache-schema", "L3:0=1", "--mem-bw-schema", "MB:0=10", box.name)
    assert call(*words) == 0, box.output()
    assert (group / "schemata").read_text() == "MB:0=10\n"
    # As the kernel does with the files of a group.
    for each in (group / f"mon_groups/{box.name}/tasks", group / "tasks", group / "schemata"):
        each.unlink()
    if not name:
        (group / f"mon_groups/{box.name}").rmdir()
        (group / "mon_groups").rmdir()
    assert call("delete", "--force", box.name) == 0, box.output()
    assert group.exists() == bool(name)
    assert not (group / f"mon_groups/{box.name}").exists()


def test_a_shared_group_of_intel_must_fit(box: Box) -> None:
    base = box.directory / "sysfs"
    (base / "resctrl/shared").mkdir(parents=True)
    (base / "cgroup").mkdir()
    for each in (base / "resctrl/schemata", base / "resctrl/shared/schemata"):
        each.write_text("L3:0=f\n")
    box.write()
    script = f'mount --rbind {ROOT} {base}/cgroup; mount --rbind {base} /sys/fs; exec "$@"'
    for field in ("l3CacheSchema", "memBwSchema", "schemata"):
        box.linux["intelRdt"] = {
            "closID": "shared",
            field: ["L3:0=1"] if field == "schemata" else "L3:0=1",
        }
        box.write()
        argv = box.argv("create", "--bundle", str(box.bundle), box.name)
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *argv],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 1
        assert 'linux.intelRdt: group shared exists without "L3:0=1"' in done.stderr, done
        assert list(box.root.iterdir()) == []
