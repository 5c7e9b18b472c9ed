"""A newcomer's day on a fresh Debian 12 and a fresh Debian 13: clone, `make up`, run containers, down, up, clean."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.images import BUSYBOX, busybox_layer, docker_archive
from tests.support.machine import CLONE, Machine, fresh_machine, machine_tools

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(1500)]

_CLONE = "/root/a clone"
_LONG = "/srv/" + "/".join(["a-folder-with-a-long-name"] * 6)


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A fresh machine that holds nothing but a clone of what is committed here."""
    if os.geteuid() != 0 or not machine_tools():
        pytest.skip("needs root, debootstrap and slirp4netns")
    folder = Path(tempfile.mkdtemp(prefix="dockyard-fresh-"))
    try:
        with fresh_machine(request.param, folder / "root") as booted:
            bundle = booted.root / "root/project.bundle"
            subprocess.run(
                ["git", "-C", CLONE, "bundle", "create", "-q", bundle, "HEAD"], check=True
            )
            (booted.root / "root/busybox.tar").write_bytes(
                docker_archive(BUSYBOX, [busybox_layer()])
            )
            booted.run(f"git clone -q project.bundle '{_CLONE}'")
            yield booted
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _docker(machine: Machine, root: str, words: str) -> str:
    path = f"PATH=$PATH:'{_CLONE}/build/tools/usr/bin'"
    return machine.run(f"{path} DOCKER_HOST=unix://{root}/docker.sock docker {words}").stdout


def test_up_installs_builds_and_runs_hello(machine: Machine) -> None:
    first = machine.run("make up ROOT=/x", cwd=_CLONE)
    assert "Hello from Dockyard!" in first.stdout
    second = machine.run("make up ROOT=/x", cwd=_CLONE, timeout=60)
    assert "Hello from Dockyard!" in second.stdout
    assert "Setting up" not in second.stdout
    assert "pip install" not in second.stdout


def test_containers_are_found_again_after_down(machine: Machine) -> None:
    machine.run("make test-deps && make up ROOT=/x", cwd=_CLONE)
    _docker(machine, "/x", "load -i /root/busybox.tar")
    _docker(machine, "/x", f"run -d --name walker {BUSYBOX} sleep 100000")
    before = _docker(machine, "/x", "inspect -f {{.State.Pid}},{{.State.StartedAt}} walker")
    machine.run("make down ROOT=/x", cwd=_CLONE)
    pid = before.partition(",")[0]
    assert "sleep" in machine.run(f"cat /proc/{pid}/cmdline").stdout
    machine.run("make up ROOT=/x", cwd=_CLONE)
    assert _docker(machine, "/x", "inspect -f {{.State.Pid}},{{.State.StartedAt}} walker") == before
    assert _docker(machine, "/x", "exec walker echo there") == "there\n"
    machine.run("make clean ROOT=/x", cwd=_CLONE)
    assert machine.run("ls -d /x", check=False).returncode != 0
    assert machine.run(f"test -d /proc/{pid}", check=False).returncode != 0
    assert "/x" not in machine.run("cat /proc/mounts").stdout.split()


def test_root_may_be_absent_and_longer_than_a_socket_path(machine: Machine) -> None:
    up = machine.run(f"make up ROOT={_LONG}", cwd=_CLONE)
    assert "Hello from Dockyard!" in up.stdout
    machine.run(f"make down ROOT={_LONG}", cwd=_CLONE)
    machine.run(f"make up ROOT={_LONG}", cwd=_CLONE)
    machine.run(f"make clean ROOT={_LONG}", cwd=_CLONE)
    assert machine.run(f"ls -d {_LONG}", check=False).returncode != 0


_DEFAULT_PATHS = f"""
set -e
export PATH=$PATH:'{_CLONE}/build/tools/usr/bin'
make up
docker run --rm hello
docker load -i /root/busybox.tar
docker run --rm {BUSYBOX} ip -4 addr show eth0
ls /var/run/docker.sock /var/run/docker.pid /run/containerd/containerd.sock
docker run -d --name walker {BUSYBOX} sleep 100000
make down
if docker version; then echo still there; exit 1; fi
make up
docker exec walker echo found again
make clean
for path in /var/lib/docker /var/lib/containerd /run/docker /run/docker.sock /run/dockyard/default /sys/class/net/docker0; do
  if test -e $path; then echo $path was left; exit 1; fi
done
"""


def test_default_paths_serve_the_command_line_as_it_is(machine: Machine) -> None:
    machine.run("make test-deps bin", cwd=_CLONE)
    done = machine.run(_DEFAULT_PATHS, cwd=_CLONE)
    assert "172.17.0.2/16" in done.stdout
    assert "found again" in done.stdout
