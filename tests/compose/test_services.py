"""The stack as two services of Debian's real Docker: restarted, killed, recreated, while containers go on.

Everything happens on a fresh machine of its own, with images built there on a base image that debootstrap made.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.images import BUSYBOX, busybox_layer, docker_archive
from tests.support.machine import CLONE, Machine, fresh_machine, machine_tools, make_base_image
from tests.support.stack import wait_until

from dockyard.stack import stack_at

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.timeout(1500)]

# Bridge, rules and cgroups are named after it: another run on this kernel may go on beside.
_ROOT = f"/var/lib/dockyard-{os.getpid()}"
_PEER_CGROUP = f"dockyard-peer-{os.getpid()}"
_PEER = "docker.io docker-cli docker-compose docker-buildx iptables procps curl nftables iproute2"
_PEER_FLAGS = f"--cgroup-parent=/{_PEER_CGROUP}"
_COUNTER = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.05; done"


@dataclass
class Host:
    """The machine on which a real Docker runs our services."""

    machine: Machine

    def peer(self, words: str) -> str:
        """A command of the real Docker."""
        settings = {"BASE_IMAGE": "base", "DOCKYARD_ROOT": _ROOT}
        return self.machine.run(f"docker {words}", cwd="/root/clone", environment=settings).stdout

    def docker(self, words: str, *, check: bool = True) -> str:
        """A command for our dockerd in it."""
        command = f"docker -H unix://{_ROOT}/docker.sock {words}"
        return self.machine.run(command, check=check).stdout.rstrip("\n")

    def wait_served(self, name: str | None = None) -> None:
        """Until a command in the container ``name`` succeeds: then all four parts are there."""
        words = f"exec {name} true" if name else "version"
        wait_until(
            lambda: (
                self.machine.run(
                    f"docker -H unix://{_ROOT}/docker.sock {words}", check=False
                ).returncode
                == 0
            ),
            timeout=60,
            what=words,
        )


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    if os.geteuid() != 0 or not machine_tools():
        pytest.skip("needs root, debootstrap and slirp4netns")
    folder = Path(tempfile.mkdtemp(prefix="dockyard-compose-"))
    try:
        with fresh_machine("trixie", folder / "root") as machine:
            yield _prepared(machine)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        # The real Docker was killed with its machine, and leaves its own.
        for path in sorted(Path("/sys/fs/cgroup").glob(f"**/{_PEER_CGROUP}/**/"), reverse=True):
            path.rmdir()


def _prepared(machine: Machine) -> Host:
    root = machine.root
    (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
    (root / "usr/sbin/policy-rc.d").chmod(0o755)
    machine.run(f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {_PEER}")
    subprocess.run(
        ["git", "-C", CLONE, "bundle", "create", "-q", root / "root/bundle", "HEAD"], check=True
    )
    (root / "root/busybox.tar").write_bytes(docker_archive(BUSYBOX, [busybox_layer()]))
    make_base_image("trixie", root / "root/base.tar")
    machine.run("git clone -q bundle clone")
    machine.run(f"setsid dockerd {_PEER_FLAGS} </dev/null >/var/log/dockerd.log 2>&1 &")
    wait_until(
        lambda: machine.run("docker version", check=False).returncode == 0, what="the real Docker"
    )
    machine.run("docker import base.tar base")
    host = Host(machine)
    host.peer("compose build")
    return host


@pytest.fixture
def services(host: Host) -> Iterator[Host]:
    """Both services up, with busybox loaded; gone again afterwards, leaving nothing."""
    before = _traces(host)
    host.peer("compose up -d")
    host.wait_served()
    host.docker("load -i /root/busybox.tar")
    try:
        yield host
        names = host.docker("ps -aq").split()
        if names:
            host.docker(f"rm -f -v {' '.join(names)}")
        host.peer("compose down")
        left = _traces(host)
        assert (left["processes"], left["mounts"]) == (before["processes"], before["mounts"])
    finally:
        host.peer("compose down")
        host.peer("compose run --rm clean")
    assert _traces(host) == before


def _traces(host: Host) -> dict[str, object]:
    stack = stack_at(_ROOT)
    return {
        "mounts": sorted(
            line.split()[4]
            for line in host.machine.run("cat /proc/1/mountinfo").stdout.splitlines()
            # The real Docker keeps the host's network namespace there once it has used it.
            if "/run/docker/netns/" not in line
        ),
        "links": host.machine.run("ls /sys/class/net").stdout,
        "tables": host.machine.run("nft list tables").stdout,
        "cgroups": list(Path("/sys/fs/cgroup").glob(f"**{stack.shim_cgroup}")),
        "processes": host.machine.run("pgrep -af '[d]ockyard'", check=False).stdout,
        "files": host.machine.run(f"ls -A {_ROOT}", check=False).stdout,
    }


def _walker(host: Host) -> tuple[str, str]:
    """A container that counts; its name and what must not change."""
    name = "walker"
    host.docker(f"run -d --name {name} -p 127.0.0.1::80 {BUSYBOX} sh -c '{_COUNTER}'")
    host.docker(f"exec -d {name} httpd -p 80 -h /data")
    return name, _identity(host, name)


def _identity(host: Host, name: str) -> str:
    return host.docker(f"inspect -f '{{{{.State.Pid}}}} {{{{.State.StartedAt}}}}' {name}")


def _check_undisturbed(host: Host, name: str, before: str) -> None:
    host.wait_served(name)
    assert _identity(host, name) == before
    assert host.docker(f"exec {name} cat /data/seed") == "from the image"
    count = len(host.docker(f"logs {name}").splitlines())
    wait_until(lambda: len(host.docker(f"logs {name}").splitlines()) > count + 3, what="lines")
    numbers = [int(line) for line in host.docker(f"logs {name}").splitlines()]
    assert numbers == list(range(len(numbers)))
    address = host.docker(f"port {name} 80/tcp")
    fetched = host.machine.run(f"curl -sf --max-time 20 http://{address}/seed").stdout
    assert fetched == "from the image\n"


@pytest.mark.parametrize("service", ["containerd", "dockerd"])
def test_restart_leaves_containers_running(services: Host, service: str) -> None:
    name, before = _walker(services)
    for _ in range(2):
        services.peer(f"compose restart {service}")
        _check_undisturbed(services, name, before)


@pytest.mark.parametrize("killed", [("containerd",), ("dockerd",), ("dockerd", "containerd")])
def test_killed_services_come_back_to_running_containers(
    services: Host, killed: tuple[str, ...]
) -> None:
    name, before = _walker(services)
    pids = services.machine.run(f"cd {_ROOT} && cat {' '.join(f'{each}.pid' for each in killed)}")
    services.machine.run(f"kill -9 {pids.stdout.replace(chr(10), ' ')}")
    _check_undisturbed(services, name, before)
    # Starts work, too: the forkserver went with its containerd.
    assert services.docker(f"run --rm {BUSYBOX} echo new") == "new"


def test_an_exit_while_both_are_down_is_reported_afterwards(services: Host) -> None:
    services.docker(f"run -d --name brief {BUSYBOX} sh -c 'sleep 100; exit 1'")
    pid = services.docker("inspect -f '{{.State.Pid}}' brief")
    services.peer("compose stop")
    ended = time.time()
    services.machine.run(f"kill -9 {pid}")
    services.peer("compose start")
    services.wait_served()
    state = wait_until(
        lambda: services.docker("ps -a --filter name=brief --filter status=exited -q"), what="exit"
    )
    assert state
    code, finished = services.docker(
        "inspect -f '{{.State.ExitCode}} {{.State.FinishedAt}}' brief"
    ).split()
    assert code == "137"
    at = services.machine.run(f"date -d {finished} +%s.%N").stdout
    assert abs(float(at) - ended) < 10


def test_recreated_services_find_containers_again(services: Host) -> None:
    name, before = _walker(services)
    services.peer("compose up -d --force-recreate")
    _check_undisturbed(services, name, before)
    services.peer("compose down")
    services.peer("compose up -d")
    _check_undisturbed(services, name, before)
    services.docker(f"stop -t 0 {name}")
    assert services.docker(f"inspect -f '{{{{.State.ExitCode}}}}' {name}") == "137"


def test_containers_have_what_the_services_may_give(services: Host) -> None:
    services.docker("volume create kept && true")
    assert (
        services.docker(f"run --rm --init -v kept:/kept -v /srv:/srv {BUSYBOX} ps -o args")
        .split("\n")[1]
        .startswith("/sbin/docker-init")
    )
    services.docker(f"run -d --name other {BUSYBOX} httpd -f -p 80 -h /data")
    address = services.docker("inspect -f '{{.NetworkSettings.IPAddress}}' other")
    assert (
        services.docker(f"run --rm {BUSYBOX} wget -qO- http://{address}/seed") == "from the image"
    )
    killed = services.docker(
        f"run --name eater -m 20m {BUSYBOX} sh -c 'x=a; while :; do x=$x$x; done'", check=False
    )
    assert services.docker("inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' eater") == (
        "true 137"
    ), killed
