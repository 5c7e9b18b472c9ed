"""What `dockyard` promises about its daemons: names, pid files, status, doctor, and a stack without its supervisor."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.images import BUSYBOX, busybox_layer, docker_archive
from tests.support.stack import BIN, Stack

PROGRAMS = {
    "containerd": ["--version"],
    "containerd-shim-dockyard-v1": ["-v"],
    "dockerd": ["--version"],
    "dockyard": ["--help"],
    "dockyard-init": ["true"],
    "dockyard-runtime": ["--version"],
}


def _dockyard(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "dockyard", *words], capture_output=True, text=True, cwd="/", timeout=100
    )


@pytest.fixture
def own(session_stack: Stack) -> Iterator[Stack]:
    """A stack beside the session's, for what would disturb the other tests."""
    root = Path(tempfile.mkdtemp(prefix="dockyard-own-"))
    try:
        up = _dockyard("up", "--root", root)
        assert up.returncode == 0, up.stderr
        yield Stack(root)
    finally:
        clean = _dockyard("clean", "--root", root)
        shutil.rmtree(root, ignore_errors=True)
    assert (clean.returncode, clean.stdout, clean.stderr) == (0, "", "")


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_work_from_any_directory(program: str) -> None:
    done = subprocess.run(
        [BIN / program, *PROGRAMS[program]], cwd="/", env={}, capture_output=True, timeout=30
    )
    assert done.returncode == 0, done.stderr


def test_only_the_daemons_carry_their_programs_names(stack: Stack) -> None:
    stack.docker("run", "-d", "busybox", "sleep", "100")
    found: dict[str, list[int]] = {"dockerd": [], "containerd": []}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_text().split("\0")
        except (OSError, UnicodeDecodeError):
            continue
        for name, pids in found.items():
            # Another stack of this clone may run beside.
            if str(BIN / name) in words[:3] and any(str(stack.root) in word for word in words):
                pids.append(int(entry.name))
    assert found == {name: [stack.pid(name)] for name in found}


def test_status_and_doctor(own: Stack) -> None:
    status = _dockyard("status", "--root", own.root)
    assert status.returncode == 0
    assert [line.split("\t")[:2] for line in status.stdout.splitlines()] == [
        ["containerd", "ready"],
        ["dockerd", "ready"],
    ]
    doctor = _dockyard("doctor", "--root", own.root)
    assert doctor.returncode == 0, doctor.stdout
    assert f"docker socket: {own.socket}" in doctor.stdout
    (file,) = own.root.glob("containerd/overlayfs/snapshots/*/fs/hello")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + b"?")
    doctor = _dockyard("doctor", "--root", own.root)
    assert doctor.returncode == 1
    (line,) = (line for line in doctor.stdout.splitlines() if line.startswith("problem"))
    assert line.startswith("problem  snapshot: image docker.io/library/hello"), line
    assert line.endswith(f"has other bytes ({file})"), line
    assert _dockyard("doctor", "--repair", "--root", own.root).returncode == 0
    assert file.read_bytes() == whole
    own.socket.chmod(0o666)
    doctor = _dockyard("doctor", "--root", own.root)
    assert doctor.returncode == 1
    assert "open to every user" in doctor.stdout
    _dockyard("down", "--root", own.root)
    assert _dockyard("status", "--root", own.root).returncode == 3
    assert not own.socket.exists()


def test_containerds_socket_is_bound_again_when_it_is_ready(own: Stack) -> None:
    path = own.root / "containerd.sock"
    before = path.stat().st_ino
    own.kill("containerd")
    assert path.stat().st_ino != before
    with socket.socket(socket.AF_UNIX) as probe:
        probe.connect(str(path))


def test_up_takes_over_from_a_killed_supervisor(own: Stack) -> None:
    _docker_load(own)
    name = own.docker("run", "-d", "busybox", "sleep", "100")
    before = own.inspect(name)["State"]
    pids = {daemon: own.pid(daemon) for daemon in ("dockerd", "containerd")}
    stat = Path(f"/proc/{pids['dockerd']}/stat").read_text()
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)
    assert own.docker("exec", name, "echo", "still") == "still"
    assert "not supervised" in _dockyard("status", "--root", own.root).stdout
    up = _dockyard("up", "--root", own.root)
    assert up.returncode == 0, up.stderr
    assert own.inspect(name)["State"] == before
    # A zombie that nobody has reaped yet has no command line.
    assert not any(_command_line(pid) for pid in pids.values())
    own.kill("dockerd")
    assert own.docker("exec", name, "echo", "supervised") == "supervised"


@pytest.mark.parametrize("name", ["with a space", "with-\u00fcml\u00e4ut", "long" * 40])
def test_root_may_have_any_usual_name(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    try:
        up = _dockyard("up", "--root", root)
        assert "Hello from Dockyard!" in up.stdout, up.stderr
    finally:
        clean = _dockyard("clean", "--root", root)
    assert (clean.returncode, clean.stdout, clean.stderr) == (0, "", "")
    assert not root.exists()


@pytest.mark.parametrize("character", [":", ",", "\\"])
def test_root_that_overlayfs_cannot_name_is_refused(tmp_path: Path, character: str) -> None:
    refused = _dockyard("up", "--root", tmp_path / f"a{character}b")
    assert refused.returncode == 1
    assert "will not do" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_down_leaves_the_sockets_of_others_alone() -> None:
    root = Path(tempfile.mkdtemp(prefix="dockyard-foreign-"))
    try:
        with socket.socket(socket.AF_UNIX) as foreign:
            foreign.bind(str(root / "docker.sock"))
            foreign.listen()
            assert _dockyard("down", "--root", root).returncode == 0
            assert (root / "docker.sock").exists()
            for verb in ("up", "clean"):
                refused = _dockyard(verb, "--root", root)
                assert refused.returncode == 1
                assert "belongs to another engine" in refused.stderr
            assert (root / "docker.sock").exists()
    finally:
        shutil.rmtree(root)


def test_containers_of_another_engine_are_not_touched() -> None:
    root = Path(tempfile.mkdtemp(prefix="dockyard-foreign-"))
    try:
        record = root / "docker/containers" / ("f" * 64) / "config.v2.json"
        record.parent.mkdir(parents=True)
        record.write_text("{}")
        for verb in ("up", "clean"):
            refused = _dockyard(verb, "--root", root)
            assert refused.returncode == 1
            assert "holds containers of another engine" in refused.stderr
        assert record.read_text() == "{}"
    finally:
        shutil.rmtree(root)


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def _docker_load(stack: Stack) -> None:
    stack.docker("load", stdin=docker_archive(BUSYBOX, [busybox_layer()]))
