"""Containerd alone, killed hundreds of times under gRPC clients: what it answered stays true, and in the end all adds up."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.chaos import grpc_load
from tests.chaos.grpc_load import Client, Containers, Load, Pods
from tests.chaos.load import born, own_limit
from tests.integration.containerd_shim.conftest import shims_below
from tests.runtime.conftest import default_config
from tests.support import leaks
from tests.support.containerd import OURS, Containerd, running_containerd
from tests.support.images import busybox_layer, docker_archive, layer
from tests.support.registry import Registry, running_registry
from tests.support.stack import BIN, wait_until

from wire.gen.containerd.services.containers.v1 import containers_pb2
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2
from wire.gen.containerd.services.tasks.v1 import tasks_pb2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
IMAGE = "docker.io/library/busybox:latest"
KEPT = ("kept0", "kept1")


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with running_registry(tmp_path / "registry") as found:
        yield found


@pytest.fixture
def pause(tmp_path: Path) -> dict[str, Any]:
    """The specification of a sandbox's process, which waits for its end."""
    rootfs = tmp_path / "pause"
    rootfs.mkdir()
    subprocess.run(["tar", "-x", "-C", rootfs], input=busybox_layer(), check=True)
    for name in ("proc", "sys", "dev"):
        (rootfs / name).mkdir()
    config = default_config(rootfs, "")
    config["process"]["args"] = ["sleep", "100000"]
    return config


@pytest.fixture
def daemon() -> Iterator[Containerd]:
    if os.geteuid() != 0 or not (BIN / "containerd").exists():
        pytest.skip("needs root and a built stack")
    with running_containerd(Path(tempfile.mkdtemp(prefix="dockyard-storm-"))) as found:
        yield found


class Killer:
    """Kills the daemon again and again: while it works, and now and then while it starts."""

    def __init__(self, daemon: Containerd, chance: random.Random) -> None:
        self._daemon = daemon
        self._chance = chance
        self.kills = 0
        self.early = 0

    def kill(self) -> None:
        """One kill, or several in a row before it serves; it serves in the end."""
        time.sleep(self._chance.choice((0.0, 0.05, 0.2, 0.5, 1.0)))
        self._daemon.end(signal.SIGKILL)
        self.kills += 1
        while self._chance.random() < 0.2:
            self._kill_early()
        self._daemon.start()

    def _kill_early(self) -> None:
        moment = self._chance.random()
        before = self._daemon.process

        def strike() -> None:
            time.sleep(moment)
            process = self._daemon.process
            if process is not None and process is not before:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)

        thread = threading.Thread(target=strike)
        thread.start()
        with contextlib.suppress(AssertionError):
            self._daemon.start()
        thread.join()
        self._daemon.end(signal.SIGKILL)
        self.kills += 1
        self.early += 1


def _template(daemon: Containerd) -> tuple[containers_pb2.Container, str]:
    """A container as ctr makes it, and the snapshot that its own stands on."""
    name = f"template-{daemon.mark}"
    daemon.ctr(
        "containers", "create", "--runtime", OURS, "--", IMAGE, name, "sh", "-c", grpc_load.SCRIPT
    )
    client = Client(daemon.address)
    found = client.ask(client.containers.Get, containers_pb2.GetContainerRequest(id=name)).container
    stat = snapshots_pb2.StatSnapshotRequest(snapshotter="overlayfs", key=found.snapshot_key)
    top = client.ask(client.snapshots.Stat, stat).info.parent
    client.channel.close()
    return found, top


def test_kills_under_grpc_load(
    daemon: Containerd, registry: Registry, pause: dict[str, Any], tmp_path: Path
) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    wanted = own_limit()
    sys.stderr.write(f"\nCHAOS_SEED={seed} CHAOS_KILLS={wanted}\n")
    layers = [busybox_layer(), *(layer({f"data/{n}": os.urandom(200_000)}) for n in range(4))]
    pulled = registry.push(docker_archive("docker.io/library/storm:1", layers), "storm:1")
    archive = tmp_path / "busybox.tar"
    archive.write_bytes(docker_archive(IMAGE, [busybox_layer(), layer({"a": b"1"})]))
    daemon.ctr("images", "import", archive)
    containers = Containers(*_template(daemon), tmp_path)
    client = Client(daemon.address)
    names = [f"{name}-{daemon.mark}" for name in KEPT]
    pids = {name: containers.run(client, name) for name in names}
    pods = Pods(containers, pause, OURS)
    pod = f"keptpod-{daemon.mark}"
    held = pods.run(client, pod)
    held_births = [born(pid) for pid in held]
    births = {name: born(pid) for name, pid in pids.items()}

    load = Load(daemon.address, seed)
    load.start("cycle0", containers.cycle)
    load.start("cycle1", containers.cycle)
    load.start("pod", pods.cycle)
    load.start("exec", containers.exec(names[0]))
    load.start("upload", grpc_load.upload)
    load.start("pull", grpc_load.puller(pulled))
    load.start("counter", grpc_load.counter(IMAGE))
    killer = Killer(daemon, random.Random(seed))
    begun = time.monotonic()
    try:
        while killer.kills < wanted and not load.complaints:
            killer.kill()
    finally:
        load.finish()
    sys.stderr.write(
        f"{killer.kills} kills ({killer.early} before it served) in {time.monotonic() - begun:.0f} s;"
        f" done {load.done}; {load.cut} calls cut off\n"
    )
    assert load.complaints == [], "\n".join(load.complaints)
    assert min(load.done.values()) > 0, load.done
    for name, pid in pids.items():
        found = client.ask(client.tasks.Get, tasks_pb2.GetRequest(container_id=name)).process
        assert (found.pid, born(pid)) == (pid, births[name])
        lines = containers.log(name).read_text().splitlines()
        assert lines == [f"line {n}" for n in range(1, len(lines) + 1)]
    assert (pods.pid(client, pod), [born(pid) for pid in held]) == (held[0], held_births)
    inner = client.ask(client.tasks.Get, tasks_pb2.GetRequest(container_id=f"{pod}-in")).process
    assert inner.pid == held[1]
    pods.remove(client, pod)
    # Each process was started once, whoever was cut off.
    ran = daemon.ctr(
        "tasks", "exec", "--exec-id", "count", names[0], "sh", "-c", "cat /ran* | wc -l"
    )
    assert int(ran) == load.done["exec"]
    client.channel.close()
    _check_empty(daemon)


def _check_empty(daemon: Containerd) -> None:
    """When everything was removed nothing is left: no blob, no layer, no byte that no record explains, no group."""
    daemon.empty()
    wait_until(lambda: daemon.blobs() == set(), what=str(daemon.blobs()))
    wait_until(lambda: daemon.directories() == set(), what=str(daemon.directories()))
    assert daemon.uploads() == set()
    assert list(daemon.root.glob("state/io.containerd.sandbox.controller.v1.shim/*/*")) == []
    wait_until(lambda: shims_below(daemon.root / "state") == [])
    assert leaks.unaccounted(daemon.root / "data") == set()
    groups = [str(path) for path in leaks.CGROUPS.glob("*/default/*") if daemon.mark in path.name]
    assert groups == []
