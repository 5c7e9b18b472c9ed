"""Without privileges: a user namespace of one's own, with and without rights to cgroups."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.runtime.conftest import PROGRAM, Box, Result

UID = 12345


@pytest.fixture
def rootless(box: Box) -> Iterator[Box]:
    """A bundle of an ordinary user, as `spec --rootless` writes it."""
    # pytest's own folder is closed to others by each run that starts.
    with tempfile.TemporaryDirectory(prefix="dockyard-test-", dir="/tmp") as folder:
        shutil.copytree(box.bundle, Path(folder) / "bundle", symlinks=True)
        box.directory = Path(folder)
        box.directory.chmod(0o755)
        box.config["root"]["path"] = str(box.rootfs)
        _make_rootless(box)
        yield box
        box.call("delete", "--force", box.name)


def _make_rootless(box: Box) -> None:
    box.linux["namespaces"] = [{"type": kind} for kind in ("mount", "pid", "ipc", "uts", "user")]
    box.linux["uidMappings"] = [{"containerID": 0, "hostID": UID, "size": 1}]
    box.linux["gidMappings"] = [{"containerID": 0, "hostID": UID, "size": 1}]
    del box.linux["resources"]
    for each in box.mounts:
        each["options"] = [option for option in each["options"] if option != "gid=5"]
        if each["destination"] == "/sys":
            each.update(
                type="none", source="/sys", options=["rbind", "nosuid", "noexec", "nodev", "ro"]
            )
    box.linux["cgroupsPath"] = ""
    subprocess.run(["chown", "-hR", f"{UID}:{UID}", box.directory], check=True)


def call(box: Box, *words: str) -> Result:
    box.write()
    log = box.directory / "log.json"
    log.touch()
    os.chown(log, UID, UID)
    with (box.directory / "out").open("w+") as out:
        done = subprocess.run(
            ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", *box.argv(*words)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            timeout=40,
            check=False,
        )
        out.seek(0)
        return Result(done.returncode, out.read(), "")


def run(box: Box, *args: str, words: tuple[str, ...] = ()) -> Result:
    box.process["args"] = list(args)
    return call(box, *words, "run", "--bundle", str(box.bundle), box.name)


pytestmark = pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")


def test_a_container_of_an_ordinary_user(rootless: Box) -> None:
    result = run(
        rootless,
        "sh",
        "-c",
        "id -u; hostname; cat /proc/self/uid_map; echo >/dev/null; touch /made",
    )
    assert result.code == 0, result
    lines = result.lines
    assert lines[:2] == ["0", "box"]
    assert lines[2].split() == ["0", str(UID), "1"]
    assert (rootless.rootfs / "made").stat().st_uid == UID


def test_its_whole_life(rootless: Box) -> None:
    rootless.process["args"] = ["sleep", "100"]
    assert call(rootless, "create", "--bundle", str(rootless.bundle), rootless.name).code == 0
    assert call(rootless, "start", rootless.name).code == 0
    state = json.loads(call(rootless, "state", rootless.name).out)
    assert (state["status"], state["owner"]) == ("running", str(UID))
    assert call(rootless, "exec", rootless.name, "id", "-u").out == "0\n"
    assert call(rootless, "kill", rootless.name, "KILL").code == 0
    assert call(rootless, "delete", "--force", rootless.name).code == 0
    assert list(rootless.root.iterdir()) == []


def test_its_state_is_in_the_users_folder(rootless: Box) -> None:
    """Without `--root`."""
    rootless.process["args"] = ["true"]
    rootless.write()
    folder = rootless.directory / "run"
    folder.mkdir()
    os.chown(folder, UID, UID)

    def user(*words: str) -> None:
        with (rootless.directory / "out").open("wb") as out:
            subprocess.run(
                ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", PROGRAM, *words],
                env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=40,
                check=True,
            )

    user("create", "--bundle", str(rootless.bundle), rootless.name)
    assert (folder / "dockyard-runtime" / rootless.name / "state.json").exists()
    user("delete", rootless.name)
    assert list((folder / "dockyard-runtime").iterdir()) == []


def test_a_limit_needs_rights_to_cgroups(rootless: Box) -> None:
    rootless.linux["resources"] = {"memory": {"limit": 1 << 26}}
    result = run(rootless, "true")
    assert result.code == 1
    assert "no cgroup" in result.out
    assert list(rootless.root.iterdir()) == []


def test_a_delegated_cgroup_is_used(rootless: Box) -> None:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        pytest.skip("delegates hierarchies of cgroup v1")
    name = f"dockyard-test-{os.getpid()}-user"
    made = [Path("/sys/fs/cgroup", each, name) for each in ("pids", "memory")]
    try:
        for each in made:
            each.mkdir()
            for path in (each, each / "cgroup.procs", each / "tasks"):
                os.chown(path, UID, UID)
        rootless.linux["cgroupsPath"] = f"/{name}/{rootless.name}"
        rootless.linux["resources"] = {"pids": {"limit": 37}}
        result = run(rootless, "grep", "-E", ":(pids|memory|cpu):", "/proc/self/cgroup")
        assert result.code == 0, result
        places = dict(line.split(":")[1:] for line in result.lines)
        assert places["pids"] == places["memory"] == f"/{name}/{rootless.name}"
        assert name not in places.get("cpu", "")
    finally:
        for each in made:
            for below in each.iterdir():
                if below.is_dir():
                    below.rmdir()
            each.rmdir()
