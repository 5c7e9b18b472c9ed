"""K17: how a container sees its cgroups is what its configuration says, for every way to share namespaces."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.runtime.conftest import Box, alive

# Of every mount at or below /sys/fs/cgroup: where, which part of the hierarchy, the mount's flags.
LIST = """while read -r _ _ _ root where flags _; do
  case $where in /sys/fs/cgroup*) echo $where $root $flags;; esac
done </proc/self/mountinfo"""
WRITE = "for each in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $each/made 2>/dev/null && echo made $each; done; true"
IDS = [{"containerID": 0, "hostID": 200_000, "size": 65_536}]


def share(box: Box, *, own_cgroup: bool, own_user: bool) -> None:
    if own_cgroup:
        box.linux["namespaces"].append({"type": "cgroup"})
    if own_user:
        box.linux["namespaces"].append({"type": "user"})
        box.linux.update(uidMappings=IDS, gidMappings=IDS)
        for path in [box.rootfs, *box.rootfs.rglob("*")]:
            os.lchown(path, 200_000, 200_000)
        for parent in (box.directory, *box.directory.parents):
            if str(parent).startswith("/tmp/pytest"):
                parent.chmod(0o755)


@pytest.mark.parametrize("own_user", [False, True], ids=["host-user", "own-user"])
@pytest.mark.parametrize("own_cgroup", [False, True], ids=["host-cgroup", "own-cgroup"])
def test_cve_2023_25809_read_only_is_read_only(box: Box, own_cgroup: bool, own_user: bool) -> None:
    """Without a cgroup namespace, rootless runc mounted the host's hierarchy, writable."""
    share(box, own_cgroup=own_cgroup, own_user=own_user)
    lines = box.sh(f"{LIST}; {WRITE}")
    assert lines, lines
    assert not [line for line in lines if line.startswith("made")], lines
    for line in lines:
        where, root, flags = line.split()
        assert {"ro", "nosuid", "nodev", "noexec"} <= set(flags.split(",")), line
        if where != "/sys/fs/cgroup" or Path("/sys/fs/cgroup/cgroup.controllers").exists():
            # The container's own part of the hierarchy, never the whole.
            assert root == ("/" if own_cgroup else box.linux["cgroupsPath"]), line


@pytest.mark.parametrize("own_user", [False, True], ids=["host-user", "own-user"])
@pytest.mark.parametrize("own_cgroup", [False, True], ids=["host-cgroup", "own-cgroup"])
def test_cve_2023_25809_nothing_of_others_is_seen(
    box: Box, own_cgroup: bool, own_user: bool
) -> None:
    """Neither by the mounts nor by their names."""
    share(box, own_cgroup=own_cgroup, own_user=own_user)
    found = box.sh("find /sys/fs/cgroup -type d -mindepth 2 -maxdepth 3 2>/dev/null; true")
    below = [line for line in found if line.count("/") > 4]
    assert below == [], below


def test_cve_2023_25809_a_whole_sys_does_not_bring_the_hosts_tree(box: Box) -> None:
    """With a bind of the host's /sys, as rootless engines make it, the mount on /sys/fs/cgroup still covers the host's."""
    box.config["mounts"] = [
        each
        if each["destination"] != "/sys"
        else {
            "destination": "/sys",
            "type": "none",
            "source": "/sys",
            "options": ["rbind", "nosuid", "noexec", "nodev", "ro"],
        }
        for each in box.mounts
    ]
    share(box, own_cgroup=False, own_user=True)
    box.linux["namespaces"] = [
        each for each in box.linux["namespaces"] if each["type"] != "network"
    ]
    result = box.run(
        "sh",
        "-c",
        f"{WRITE}; test ! -e /sys/fs/cgroup/cgroup.procs || cat /sys/fs/cgroup/cgroup.procs",
    )
    assert "made" not in result.out, result


def test_limits_are_those_of_the_configuration(box: Box) -> None:
    """The kernel's word for them, in the container's own directory."""
    box.linux["resources"] |= {"memory": {"limit": 64 << 20}, "pids": {"limit": 33}}
    box.start("sleep", "100")
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    limit = "memory.max" if unified else "memory.limit_in_bytes"
    assert (box.cgroup("memory") / limit).read_text() == f"{64 << 20}\n"
    assert (box.cgroup("pids") / "pids.max").read_text() == "33\n"


@pytest.mark.parametrize("path", ["/../../escape", "/a/../../b", "..", "/dockyard-test/../x"])
def test_a_cgroup_path_does_not_climb(box: Box, path: str) -> None:
    box.linux["cgroupsPath"] = path
    result = box.run("true")
    assert result.code == 1
    assert "cgroupsPath" in result.err


@pytest.mark.skipif(
    Path("/sys/fs/cgroup/cgroup.controllers").exists(), reason="other files on cgroup v2"
)
def test_cgroups_deeper_than_a_path_are_found_and_removed(box: Box) -> None:
    """A container that may write to its cgroups could make itself undeletable, and hide its processes from a signal for all."""
    for each in box.mounts:
        if each["type"] == "cgroup":
            each["options"].remove("ro")
    # Not in a pid namespace of its own, with whose first process all others would end.
    box.linux["namespaces"] = [each for each in box.linux["namespaces"] if each["type"] != "pid"]
    nest = f"mkdir {'x' * 250} && cd {'x' * 250}"
    script = (
        f"for top in devices pids; do cd /sys/fs/cgroup/$top; while {nest}; do :; done; "
        "echo 0 >cgroup.procs; done 2>/dev/null; sleep 1000 & echo $! >/tmp/hidden; wait"
    )
    box.start("sh", "-c", script)
    hidden = box.rootfs / "tmp/hidden"
    end = time.monotonic() + 20
    while not (hidden.exists() and hidden.read_text()):
        assert time.monotonic() < end, box.output()
        time.sleep(0.01)
    pid = int(hidden.read_text())
    depth = len(Path(f"/proc/{pid}/cgroup").read_text())
    assert depth > 4000, depth
    box.ok("delete", "--force", box.name)
    assert not alive(pid)
    left = [each for each in Path("/sys/fs/cgroup").glob(f"*/*/{box.name}") if each.exists()]
    assert left == []
