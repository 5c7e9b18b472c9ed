"""The sandbox service of the shim, and tasks in a sandbox, over ttrpc."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.empty_pb2 import Empty
from tests.integration.containerd_shim.conftest import (
    NAMESPACE,
    Bundle,
    World,
    runc_options,
    settle,
)

from wire import namespaces, typeurl
from wire.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    NotImplementedYet,
)
from wire.gen.containerd.cgroups.v1 import metrics_pb2 as metrics_v1
from wire.gen.containerd.cgroups.v2 import metrics_pb2 as metrics_v2
from wire.gen.shim.sandbox.v1 import sandbox_pb2 as pb
from wire.gen.shim.task.v2 import shim_pb2

pytestmark = pytest.mark.root
SANDBOX = "containerd.runtime.sandbox.v1.Sandbox"


class Pod:
    """A bundle whose shim is asked for a sandbox."""

    def __init__(self, world: World, *args: str) -> None:
        self.bundle = world.bundle()
        if args:
            self.bundle.config["process"]["args"] = list(args)
        else:
            del self.bundle.config["process"]

    async def call(self, method: str, **fields: Any) -> Any:
        words = {"Platform": "Platform", "PingSandbox": "Ping"}
        name = words.get(method, method)
        request = getattr(pb, f"{name}Request")(sandbox_id=self.bundle.container_id, **fields)
        assert self.bundle.client is not None
        reply = getattr(pb, f"{name}Response")
        with namespaces.bind(NAMESPACE):
            return await self.bundle.client.call(SANDBOX, method, request, reply, timeout=30)

    async def create(self, **fields: Any) -> None:
        await self.bundle.connect(self.bundle.start())
        await self.call("CreateSandbox", bundle_path=str(self.bundle.path), **fields)

    async def member(self, world: World, *args: str) -> Bundle:
        """A task in this sandbox's shim, as containerd makes it: no `start`, only Create."""
        box = world.bundle()
        box.config["process"]["args"] = list(args)
        (box.path / "config.json").write_text(json.dumps(box.config))
        await box.connect((self.bundle.path / "address").read_text())
        await box.call("Create", bundle=str(box.path))
        return box


async def test_a_life_with_a_process(world: World) -> None:
    pod = Pod(world, "sleep", "1000")
    await pod.create(annotations={"who": "me"})
    status = await pod.call("SandboxStatus")
    assert (status.state, status.pid > 0) == ("SANDBOX_NOTREADY", True)
    started = await pod.call("StartSandbox")
    assert started.pid == status.pid
    command = Path(f"/proc/{started.pid}/cmdline")
    await settle(lambda: command.read_bytes() == b"sleep\x001000\x00")
    status = await pod.call("SandboxStatus", verbose=True)
    assert (status.state, status.created_at) == ("SANDBOX_READY", started.created_at)
    assert str(pod.bundle.path) in status.info["bundle"]
    platform = (await pod.call("Platform")).platform
    assert (platform.os, platform.architecture) == ("linux", "amd64")
    await pod.call("PingSandbox")
    metrics = (await pod.call("SandboxMetrics")).metrics
    version = metrics_v1 if "v1" in metrics.data.type_url else metrics_v2
    assert version.Metrics.FromString(metrics.data.value).pids.current == 1
    # It is no task.
    with pytest.raises(NotFound):
        await pod.bundle.call("State")
    waiting = asyncio.ensure_future(pod.call("WaitSandbox"))
    await pod.call("StopSandbox")
    assert (await waiting).exit_status == 137
    status = await pod.call("SandboxStatus")
    assert (status.state, status.pid) == ("SANDBOX_NOTREADY", 0)
    assert status.exited_at == (await waiting).exited_at
    # A second stop changes nothing.
    await pod.call("StopSandbox")
    await pod.call("ShutdownSandbox")
    await settle(lambda: not Path(f"/proc/{pod.bundle.shim_pid}").exists())
    # Its process was no task, so nobody hears of it as one.
    assert world.told.topics == []


async def test_a_stop_gives_time(world: World) -> None:
    pod = Pod(
        world, "sh", "-c", "trap 'exit 7' TERM; echo > /dev/null; while :; do sleep 0.1; done"
    )
    await pod.create()
    pid = (await pod.call("StartSandbox")).pid
    status = Path(f"/proc/{pid}/status")
    await settle(lambda: int(status.read_text().split("SigCgt:")[1].split()[0], 16) & 1 << 14)
    await pod.call("StopSandbox", timeout_secs=20)
    assert (await pod.call("WaitSandbox")).exit_status == 7
    await pod.call("ShutdownSandbox")


async def test_a_stop_is_not_for_ever(world: World) -> None:
    # The first process of a PID namespace does not hear a signal that it has no handler for.
    pod = Pod(world, "sleep", "1000")
    await pod.create()
    await pod.call("StartSandbox")
    await pod.call("StopSandbox", timeout_secs=1)
    assert (await pod.call("WaitSandbox")).exit_status == 137
    await pod.call("ShutdownSandbox")


async def test_without_a_process_the_shim_stands_for_it(world: World) -> None:
    pod = Pod(world)
    # As Go clients pack "no options".
    await pod.create(options=typeurl.pack(Empty()))
    assert (await pod.call("StartSandbox")).pid > 0
    assert (await pod.call("SandboxStatus")).state == "SANDBOX_READY"
    with pytest.raises(FailedPrecondition, match="no process"):
        await pod.call("SandboxMetrics")
    waiting = asyncio.ensure_future(pod.call("WaitSandbox"))
    await pod.call("PingSandbox")
    assert not waiting.done()
    await pod.call("StopSandbox")
    assert (await waiting).exit_status == 0
    await pod.call("ShutdownSandbox")
    await settle(lambda: not Path(f"/proc/{pod.bundle.shim_pid}").exists())


async def test_tasks_in_a_sandbox(world: World) -> None:
    pod = Pod(world, "sleep", "1000")
    await pod.create()
    holder = (await pod.call("StartSandbox")).pid
    box = await pod.member(world, "sleep", "1000")
    await box.call("Start")
    assert {each.pid for each in (await box.call("Pids")).processes} & {holder} == set()
    with pytest.raises(FailedPrecondition, match="containers"):
        await pod.call("ShutdownSandbox")
    await box.call("Kill", signal=9)
    assert (await box.call("Wait")).exit_status == 137
    await box.call("Delete")
    # The shim stays with its sandbox, whatever the last task's owner says.
    await box.call("Shutdown", now=True)
    # One that is to end takes its socket away at once.
    address = (pod.bundle.path / "address").read_text().removeprefix("unix://")
    assert Path(address).is_socket()
    assert (await pod.call("SandboxStatus")).state == "SANDBOX_READY"
    assert world.told.topics == ["create", "start", "exit", "delete"]
    await pod.call("StopSandbox")
    await pod.call("ShutdownSandbox")


async def test_the_network_is_the_callers(world: World, tmp_path: Path) -> None:
    pod = Pod(world, "sleep", "1000")
    await pod.create(netns_path="/proc/self/ns/net", options=runc_options(root=str(tmp_path)))
    pid = (await pod.call("StartSandbox")).pid
    # The runtime's own, which is ours.
    assert os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")
    assert os.readlink(f"/proc/{pid}/ns/uts") != os.readlink("/proc/self/ns/uts")
    # The options are those of the runtime.
    assert (tmp_path / NAMESPACE / pod.bundle.container_id).exists()
    await pod.call("StopSandbox")
    await pod.call("ShutdownSandbox")


async def test_what_is_refused(world: World) -> None:
    pod = Pod(world, "no-such-program")
    with pytest.raises(Exception, match="no-such-program"):
        await pod.create()
    # Nothing is left of it.
    with pytest.raises(NotFound):
        await pod.call("SandboxStatus")
    assert not (pod.bundle.path / "sandbox.json").exists()
    with pytest.raises(InvalidArgument, match=r"runtime\.v1\.PodSandboxConfig"):
        await pod.create(options=Packed(type_url="runtime.v1.PodSandboxConfig", value=b""))
    pod.bundle.config["process"]["terminal"] = True
    with pytest.raises(InvalidArgument, match="terminal"):
        await pod.create()
    del pod.bundle.config["process"]
    with pytest.raises(InvalidArgument, match="rootfs"):
        await pod.create(rootfs=[{"type": "bind", "source": "/", "options": ["rbind"]}])
    await pod.create()
    with pytest.raises(AlreadyExists):
        await pod.call("CreateSandbox", bundle_path=str(pod.bundle.path))
    await pod.call("StartSandbox")
    with pytest.raises(FailedPrecondition):
        await pod.call("StartSandbox")
    assert pod.bundle.client is not None
    with pytest.raises(NotImplementedYet, match="UpdateSandbox"):
        await pod.bundle.client.call(SANDBOX, "UpdateSandbox", Empty(), Empty, timeout=30)
    await pod.call("ShutdownSandbox")


@pytest.mark.parametrize("args", [("sleep", "1000"), ()], ids=["process", "none"])
async def test_another_shim_goes_on_with_a_killed_ones_sandbox(
    world: World, args: tuple[str, ...]
) -> None:
    pod = Pod(world, *args)
    await pod.create()
    before = await pod.call("StartSandbox")
    box = await pod.member(world, "sleep", "1000")
    await box.call("Start")
    first = pod.bundle.shim_pid
    os.kill(first, signal.SIGKILL)
    await settle(lambda: not Path(f"/proc/{first}").exists())
    await pod.bundle.connect(pod.bundle.start())
    await box.connect((pod.bundle.path / "address").read_text())
    status = await pod.call("SandboxStatus")
    assert (status.state, status.created_at) == ("SANDBOX_READY", before.created_at)
    assert status.pid == before.pid or not args
    state = await box.call("State")
    assert isinstance(state, shim_pb2.StateResponse)
    assert state.pid > 0
    await box.end()
    await pod.call("StopSandbox")
    if args:
        assert (await pod.call("WaitSandbox")).exit_status == 137
    await pod.call("ShutdownSandbox")
