"""Known flaws of containerd and its shim, tried on ours: one test for each number, or several.

Hostile archives are tried in tests/unit/containerd, registries that lie in test_hostile.py; test_coverage.py has the list.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.containerd import OURS, RUNC, Containerd
from tests.support.stack import BIN, wait_until

_NOBODY = 65534
# Which of the paths on standard input a user without rights can list, read, execute or connect to.
# The interpreter itself may lie where such a user does not get.
_PROBE = f"""
import os, socket, stat, sys
os.setgroups([])
os.setgid({_NOBODY})
os.setuid({_NOBODY})
for path in sys.stdin.read().split("\\0"):
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            os.listdir(path)
        elif stat.S_ISSOCK(mode):
            socket.socket(socket.AF_UNIX).connect(path)
        elif (stat.S_ISFIFO(mode) or stat.S_ISREG(mode)) and not os.access(path, os.X_OK):
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        elif not os.access(path, os.X_OK):
            continue
    except OSError:
        continue
    print(path)
"""


@pytest.fixture
def open_root(containerd: Containerd) -> Iterator[Path]:
    """The daemon's directory; those above let everybody pass, as below /var and /run."""
    mode = containerd.root.stat().st_mode
    containerd.root.chmod(0o755)
    yield containerd.root
    containerd.root.chmod(mode)


def _reached(*paths: Path) -> list[str]:
    """What of these, and below them, another user reaches."""
    found = [str(path) for top in paths for path in (top, *top.rglob("*"))]
    done = subprocess.run(
        [sys.executable, "-I", "-c", _PROBE],
        input="\0".join(found),
        text=True,
        capture_output=True,
        check=True,
    )
    return done.stdout.splitlines()


@contextlib.contextmanager
def _running(containerd: Containerd, image: str, *words: str) -> Iterator[str]:
    name = f"flaw-{os.urandom(4).hex()}"
    containerd.ctr(
        "containers", "create", "--runtime", OURS, *words, "--", image, name, "sleep", "1000"
    )
    try:
        containerd.ctr("tasks", "start", "-d", name)
        yield name
    finally:
        containerd.call("tasks", "kill", "-s", "SIGKILL", name)
        wait_until(lambda: containerd.call("tasks", "rm", name).code == 0)
        containerd.ctr("containers", "rm", name)


def _bundle(root: Path, name: str) -> Path:
    return root / "state/io.containerd.runtime.v2.task/default" / name


def test_the_probe_sees_what_is_open() -> None:
    """The other tests are worth what this one finds."""
    with tempfile.TemporaryDirectory(prefix="dockyard-open-") as name:
        top = Path(name)
        top.chmod(0o755)
        (top / "file").write_text("x")
        os.mkfifo(top / "pipe", 0o644)
        (top / "closed").mkdir(0o700)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{name}/socket")
            listener.listen()
            (top / "socket").chmod(0o777)
            found = set(_reached(top))
        assert found == {name, *(f"{name}/{each}" for each in ("file", "pipe", "socket"))}


def test_cve_2021_41103_cve_2024_25621_other_users_reach_nothing(
    containerd: Containerd, image: str, open_root: Path
) -> None:
    """No content, record, specification, log, socket or root file system; not by its whole path either."""
    with _running(containerd, image) as name:
        bundle = _bundle(open_root, name)
        assert (bundle / "rootfs/bin/busybox").exists()
        assert bundle.stat().st_mode & 0o777 == 0o700
        assert _reached(open_root / "data", open_root / "state") == []


def test_cve_2024_25621_an_open_root_of_an_earlier_version_is_closed(
    containerd: Containerd, open_root: Path
) -> None:
    (open_root / "data").chmod(0o755)
    containerd.kill()
    assert (open_root / "data").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("binary", ["runc", str(BIN / "dockyard-runtime")])
def test_cve_2021_41103_only_a_user_namespaces_root_passes(
    containerd: Containerd, image: str, open_root: Path, binary: str
) -> None:
    # ctr has options of its own for other runtimes, which only old shims know.
    if shutil.which("containerd-shim-runc-v2") is None:
        pytest.skip("needs Debian's containerd-shim-runc-v2")
    name = f"flaw-{os.urandom(4).hex()}"
    maps = ("--uidmap", "0:100000:65536", "--gidmap", "0:200000:65536")
    words = ("run", "-d", "--runtime", RUNC, "--runc-binary", binary, *maps, image, name)
    containerd.ctr(*words, "sleep", "1000")
    status = _bundle(open_root, name).stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o710, 0, 200000)
    assert _reached(_bundle(open_root, name)) == []
    (line,) = (line for line in containerd.ctr("tasks", "ls").splitlines() if line.startswith(name))
    assert Path(f"/proc/{line.split()[1]}/gid_map").read_text().split()[:2] == ["0", "200000"]


def test_cve_2020_15257_no_socket_is_reached_from_the_hosts_network(
    containerd: Containerd, image: str
) -> None:
    """A container in the host's network namespace sees every abstract socket of it."""
    with _running(containerd, image, "--net-host") as name:
        words = ("tasks", "exec", "--exec-id", "look", name, "cat", "/proc/net/unix")
        listed = [line.split()[-1] for line in containerd.ctr(*words).splitlines()[1:]]
        address = (_bundle(containerd.root, name) / "address").read_text()
        path = address.removeprefix("unix://")
        # The look is worth something: the shim's own socket is in the list, by its path.
        assert path in listed
        marks = ("containerd", "dockyard", "shim", containerd.root.name, name)
        assert [
            each for each in listed if each.startswith("@") and any(mark in each for mark in marks)
        ] == []
        assert _reached(Path(path)) == []
        with socket.socket(socket.AF_UNIX) as own:
            own.connect(path)


def test_cve_2022_24769_nothing_is_inherited(containerd: Containerd, image: str) -> None:
    words = ("run", "--rm", "--runtime", OURS, image, f"flaw-{os.urandom(4).hex()}")
    status = containerd.ctr(*words, "cat", "/proc/self/status")
    found = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Cap"))
    assert (found["CapInh"], found["CapAmb"]) == ("0" * 16, "0" * 16)
    assert int(found["CapEff"], 16) != 0
