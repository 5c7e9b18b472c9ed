"""nerdctl, built from its public module by `make test-nerdctl`: run, ps, logs, exec, and compose with CNI plugins.

The daemon and the client live in a network and a mount namespace of the test, so that CNI's bridges and rules go with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.containerd import OURS, RUNC, Containerd, running_containerd
from tests.support.stack import BIN, CLONE, Done, wait_until

pytestmark = pytest.mark.slow
NERDCTL = shutil.which("nerdctl") or CLONE / "build/tools/usr/bin/nerdctl"
PLUGINS = "/usr/lib/cni"
IMAGE = "docker.io/library/busybox:latest"


class Nerdctl:
    """The client beside its daemon."""

    def __init__(self, daemon: Containerd, holder: int) -> None:
        self.daemon = daemon
        self._prefix = ("nsenter", "-t", str(holder), "-n", "-m")

    def call(self, *words: str | Path, stdin: bytes | None = None, timeout: float = 60) -> Done:
        root = self.daemon.root
        done = subprocess.run(
            [
                *self._prefix,
                *(NERDCTL, "--address", self.daemon.address, "--namespace", "nerd"),
                *("--data-root", root / "nerdctl", "--cgroup-manager", "cgroupfs"),
                *("--cni-path", PLUGINS, "--cni-netconfpath", root / "cni"),
                *words,
            ],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
            cwd=root,
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def __call__(self, *words: str | Path, **options: object) -> str:
        done = self.call(*words, **options)  # type: ignore[arg-type]
        assert done.code == 0, (words, done)
        return done.out.rstrip("\n")


@pytest.fixture(scope="module")
def module(archive: Path) -> Iterator[Nerdctl]:
    if os.geteuid() != 0 or not Path(NERDCTL).exists() or not (BIN / "containerd").exists():
        pytest.skip("needs root, a built stack, and nerdctl: make test-nerdctl")
    if not Path(PLUGINS, "bridge").exists():
        pytest.skip("needs Debian's containernetworking-plugins")
    with _namespaces() as holder:
        root = Path(tempfile.mkdtemp(prefix="dockyard-nerd-"))
        prefix = ("nsenter", "-t", str(holder), "-n", "-m")
        with running_containerd(root, program=(*prefix, BIN / "containerd")) as daemon:
            nerdctl = Nerdctl(daemon, holder)
            nerdctl("load", "-i", archive)
            yield nerdctl


@contextlib.contextmanager
def _namespaces() -> Iterator[int]:
    """The pid of a process that holds a network and a mount namespace."""
    script = "ip link set lo up && mkdir -p /var/lib/cni && mount -t tmpfs none /var/lib/cni && echo ready && read x"
    with subprocess.Popen(
        ["unshare", "--net", "--mount", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"ready\n"
        yield holder.pid
        holder.stdin.close()


@pytest.fixture
def nerdctl(module: Nerdctl) -> Iterator[Nerdctl]:
    yield module
    names = module("ps", "-aq").split()
    if names:
        module("rm", "-f", *names)


@pytest.fixture(params=[OURS, RUNC])
def runtime(request: pytest.FixtureRequest) -> str:
    if request.param == RUNC and shutil.which("containerd-shim-runc-v2") is None:
        pytest.skip("needs Debian's containerd-shim-runc-v2")
    return f"--runtime={request.param}"


def test_version_and_info(nerdctl: Nerdctl) -> None:
    assert "dockyard" in nerdctl("version")
    assert json.loads(nerdctl("info", "--format", "json"))["Driver"] == "overlayfs"


def test_run(nerdctl: Nerdctl, runtime: str) -> None:
    done = nerdctl.call("run", "--rm", runtime, "-e", "A=1", IMAGE, "sh", "-c", "echo $A; exit 3")
    assert (done.code, done.out) == (3, "1\n")
    done = nerdctl.call("run", "-i", "--rm", runtime, IMAGE, "cat", stdin=b"given")
    assert (done.code, done.out) == (0, "given")
    assert nerdctl("ps", "-aq") == ""


def test_ps_logs_exec_stop(nerdctl: Nerdctl, runtime: str) -> None:
    script = "echo one; echo two >&2; trap 'exit 0' TERM; while :; do sleep 0.1; done"
    nerdctl("run", "-d", runtime, "--name", "back", IMAGE, "sh", "-c", script)
    assert nerdctl("ps", "--format", "{{.Names}} {{.Status}}") == "back Up"
    wait_until(lambda: set(_lines(nerdctl.call("logs", "back"))) == {"one", "two"})
    assert nerdctl("exec", "back", "echo", "in") == "in"
    assert nerdctl.call("exec", "-i", "back", "cat", stdin=b"x" * 100_000).out == "x" * 100_000
    # The client's own way: it tells the code and ends with 1.
    assert "exit code 4" in nerdctl.call("exec", "back", "sh", "-c", "exit 4").err
    assert json.loads(nerdctl("inspect", "back"))[0]["State"]["Running"] is True
    nerdctl("pause", "back")
    assert "Paused" in nerdctl("ps", "-a", "--format", "{{.Status}}")
    nerdctl("unpause", "back")
    nerdctl("stop", "back")
    assert "Exited (0)" in nerdctl("ps", "-a", "--format", "{{.Status}}")
    nerdctl("start", "back")
    assert nerdctl("ps", "--format", "{{.Names}}") == "back"


def _lines(done: Done) -> list[str]:
    return (done.out + done.err).splitlines()


def test_two_containers_on_a_bridge(nerdctl: Nerdctl, runtime: str) -> None:
    nerdctl("run", "-d", runtime, "--name", "server", IMAGE, "httpd", "-f", "-h", "/data")
    address = nerdctl("inspect", "--format", "{{.NetworkSettings.IPAddress}}", "server")
    out = nerdctl("run", "--rm", runtime, IMAGE, "wget", "-qO-", f"http://{address}/seed")
    assert out == "from the image"


def test_images_and_commit(nerdctl: Nerdctl) -> None:
    nerdctl("tag", IMAGE, "example.com/tagged:1")
    assert "example.com/tagged" in nerdctl("images", "--format", "{{.Repository}}")
    nerdctl("run", "-d", "--name", "changed", IMAGE, "sh", "-c", "echo new > /new; sleep 1000")
    wait_until(lambda: nerdctl.call("exec", "changed", "cat", "/new").out == "new\n")
    nerdctl("commit", "changed", "example.com/committed:1")
    assert nerdctl("run", "--rm", "example.com/committed:1", "cat", "/new") == "new"
    nerdctl("rm", "-f", "changed")
    path = nerdctl.daemon.root / "saved.tar"
    nerdctl("save", "-o", path, "example.com/committed:1")
    nerdctl("rmi", "example.com/committed:1", "example.com/tagged:1")
    assert "committed" not in nerdctl("images")
    nerdctl("load", "-i", path)
    assert nerdctl("run", "--rm", "example.com/committed:1", "cat", "/new") == "new"


def test_compose_of_two_services(nerdctl: Nerdctl) -> None:
    path = nerdctl.daemon.root / "compose"
    path.mkdir()
    (path / "docker-compose.yml").write_text(
        f"""
services:
  server:
    image: {IMAGE}
    command: httpd -f -h /data
  client:
    image: {IMAGE}
    depends_on: [server]
    command: sh -c 'until wget -qO- http://server/seed; do sleep 0.2; done; sleep 1000'
"""
    )
    compose = ("compose", "-f", path / "docker-compose.yml")
    nerdctl(*compose, "up", "-d", timeout=60)
    try:
        wait_until(lambda: "from the image" in nerdctl.call(*compose, "logs", "client").out)
        listed = nerdctl(*compose, "ps")
        assert "server" in listed
        assert "client" in listed
    finally:
        nerdctl(*compose, "down", timeout=60)
    assert nerdctl("ps", "-aq") == ""


def test_the_native_snapshotter(nerdctl: Nerdctl) -> None:
    flags = ("--snapshotter", "native")
    script = "echo mine > /file; cat /file"
    run = ("run", "--rm", "--net", "none", "--runtime", OURS, IMAGE, "sh", "-c", script)
    assert nerdctl(*flags, *run) == "mine"
    listed = nerdctl.daemon.ctr("-n", "nerd", "snapshots", "--snapshotter", "native", "ls")
    assert len(listed.splitlines()) > 1
