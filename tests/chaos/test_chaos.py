"""Hundreds of kills under load, and then everything must add up. ``CHAOS_KILLS`` and ``CHAOS_SEED`` repeat a run."""

from __future__ import annotations

import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.chaos.killer import Killer
from tests.chaos.load import Load, born, counting, lines_of, own_limit
from tests.support import leaks
from tests.support.images import BUSYBOX, busybox_layer, docker_archive, layer
from tests.support.registry import Registry, running_registry
from tests.support.stack import BIN, DOCKER, Stack, running_stack, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture
def registry() -> Iterator[Registry]:
    with (
        tempfile.TemporaryDirectory(prefix="dockyard-chaos-registry-") as folder,
        running_registry(Path(folder)) as found,
    ):
        yield found


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    if os.geteuid() != 0 or DOCKER is None or not (BIN / "dockyard").exists():
        pytest.skip("needs root, the docker CLI and a built stack")
    root = Path(tempfile.mkdtemp(prefix="dockyard-chaos-"))
    try:
        with running_stack(root) as stack:
            yield stack
    finally:
        shutil.rmtree(root, ignore_errors=True)


def test_kills_under_load(own_stack: Stack, registry: Registry) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or random.randrange(10**6))
    sys.stderr.write(f"\nCHAOS_SEED={seed} CHAOS_KILLS={own_limit()}\n")
    stack = own_stack
    layers = [busybox_layer(), *(layer({f"data/{n}": os.urandom(200_000)}) for n in range(4))]
    image = registry.push(docker_archive(BUSYBOX, layers), "chaos:1")
    kept = {f"kept{n}": counting(stack, f"kept{n}") for n in range(2)}
    sacrificed = {f"sacrificed{n}": counting(stack, f"sacrificed{n}") for n in range(2)}
    script = "echo served > /var/www/index.html; exec httpd -f -p 80 -h /var/www"
    server = stack.docker(
        "run", "-d", "--name", "server", "-p", "80", "busybox", "sh", "-c", script
    )
    wait_until(lambda: stack.call("exec", server, "wget", "-qO-", "http://127.0.0.1/").code == 0)
    gateway = stack.inspect(server)["NetworkSettings"]["Gateway"]
    port = int(stack.docker("port", server, "80/tcp").splitlines()[0].rpartition(":")[2])

    load = Load(stack, seed)
    load.start("run", load.run)
    load.start("exec", partial(load.exec, "kept0"))
    load.start("cycle", partial(load.cycle, 0))
    load.start("pull", partial(load.pull, image))
    load.start("fetch", partial(load.fetch, (gateway, port)))
    load.start("terminal", load.terminal)
    killer = Killer(stack, random.Random(seed), [each[0] for each in sacrificed.values()])
    begun = time.monotonic()
    try:
        while sum(killer.kills.values()) < own_limit() and not load.complaints:
            killer.kill()
        killer.rest()
    finally:
        load.finish()
    sys.stderr.write(
        f"{dict(killer.kills)} in {time.monotonic() - begun:.0f} s; done {load.done}; failed {load.failed}\n"
    )
    assert load.complaints == [], "\n".join(load.complaints)
    wait_until(lambda: stack.call("version").code == 0, timeout=60)
    _check_states(stack)
    for name, (_, pid, birth) in {**kept, **sacrificed}.items():
        state = stack.inspect(name)["State"]
        assert (state["Status"], state["Pid"], born(pid)) == ("running", pid, birth), (name, state)
    for name in kept:
        lines = lines_of(stack, name)
        assert lines == [f"line {n}" for n in range(1, len(lines))] + [f"last {len(lines) - 1}"]
    for name in sacrificed:
        numbers = [int(line.split()[1]) for line in lines_of(stack, name)[:-1]]
        # What a shim had read and not written when it was killed is lost; nothing comes twice.
        assert numbers == sorted(set(numbers))
    _remove_everything(stack)


def _check_states(stack: Stack) -> None:
    """Every container that is listed runs with a process of its own, or does not and has none."""
    kernel_groups = {path.name for path in leaks.CGROUPS.glob("pids/docker/*")}
    kernel_groups |= {path.name for path in leaks.CGROUPS.glob("docker/*")}
    for container in stack.docker("ps", "-aq", "--no-trunc").split():
        state = stack.inspect(container)["State"]
        if state["Running"]:
            assert container in Path(f"/proc/{state['Pid']}/cgroup").read_text(), state
            assert stack.docker("exec", container, "echo", "there") == "there" or state["Paused"]
        else:
            assert container not in kernel_groups, state


def _remove_everything(stack: Stack) -> None:
    stack.remove_all()
    for image in stack.docker("image", "ls", "-aq").split():
        stack.call("rmi", "-f", image)
    kernel = leaks.Kernel(stack.root)
    wait_until(
        lambda: leaks.stored(stack.root) == {}, timeout=30, what=str(leaks.stored(stack.root))
    )
    assert kernel.idle() == {}
    # Nothing is left that anybody could still want: the collector leaves no blob and no snapshot.
    wait_until(lambda: not list(stack.root.glob("containerd/content/blobs/*/*")), what="blobs")
    wait_until(lambda: not list(stack.root.glob("containerd/overlayfs/snapshots/*")), what="layers")
