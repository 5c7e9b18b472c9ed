"""The shim by its contract (containerd's runtime v2), one call after the other over ttrpc."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.integration.containerd_shim.conftest import SHIM, World, runc_options, settle

from wire import typeurl
from wire.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
)
from wire.gen.containerd.cgroups.v1 import metrics_pb2 as metrics_v1
from wire.gen.containerd.cgroups.v2 import metrics_pb2 as metrics_v2
from wire.gen.containerd.types.introspection_pb2 import RuntimeInfo
from wire.gen.containerd.types.runc.options import oci_pb2
from wire.gen.containerd.types.runtimeoptions.v1 import api_pb2
from wire.gen.containerd.types.task import task_pb2
from wire.gen.shim.bootstrap.v1 import bootstrap_pb2
from wire.gen.shim.task.v2 import shim_pb2

pytestmark = pytest.mark.root


async def test_a_life_and_its_events(world: World) -> None:
    box = world.bundle()
    pid = await box.create("sh", "-c", "exit 7")
    state = await box.call("State")
    assert (state.status, state.pid, state.bundle) == (task_pb2.CREATED, pid, str(box.path))
    waiting = asyncio.ensure_future(box.call("Wait"))
    assert (await box.call("Start")).pid == pid
    waited = await waiting
    assert waited.exit_status == 7
    state = await box.call("State")
    assert (state.status, state.exit_status) == (task_pb2.STOPPED, 7)
    assert state.exited_at == waited.exited_at
    record = json.loads((box.path / "exit.json").read_text())
    assert (record["pid"], record["exit_status"]) == (pid, 7)
    assert record["exited_at_ns"] == waited.exited_at.ToNanoseconds()
    deleted = await box.call("Delete")
    assert (deleted.pid, deleted.exit_status) == (pid, 7)
    event = await world.told.until("delete")
    assert (event.container_id, event.exit_status) == (box.container_id, 7)
    assert world.told.topics == ["create", "start", "exit", "delete"]
    with pytest.raises(NotFound):
        await box.call("State")
    await box.call("Shutdown")
    await settle(lambda: not Path(f"/proc/{box.shim_pid}").exists())


@pytest.mark.parametrize("version", ["containerd.task.v2.Task", "containerd.task.v3.Task"])
async def test_the_end_is_never_told_before_the_beginning(world: World, version: str) -> None:
    for _ in range(5):
        world.told.events.clear()
        box = world.bundle()
        box.version = version
        await box.run("true")
        await world.told.until("exit")
        assert world.told.topics == ["create", "start", "exit"]


async def test_an_execs_events_and_its_end_before_the_containers(world: World) -> None:
    box = world.bundle()
    await box.run("sleep", "1000")
    await box.exec("quick", "true")
    await world.told.until("exit")
    assert world.told.topics[2:] == ["exec-added", "exec-started", "exit"]
    assert (await box.call("Delete", exec_id="quick")).exit_status == 0
    await box.exec("slow", "sleep", "1000")
    await box.call("Kill", signal=9)
    await world.told.until("exit", 3)
    ends = [event.id for topic, event in world.told.events if topic == "/tasks/exit"]
    assert ends == ["quick", "slow", box.container_id]


async def test_execs_without_a_pid_namespace_end_with_the_container(world: World) -> None:
    box = world.bundle()
    spaces = box.config["linux"]["namespaces"]
    box.config["linux"]["namespaces"] = [each for each in spaces if each["type"] != "pid"]
    await box.run("sleep", "1000")
    pid = await box.exec("left", "sleep", "1000")
    await box.call("Kill", signal=9)
    await world.told.until("exit", 2)
    ends = [event.id for topic, event in world.told.events if topic == "/tasks/exit"]
    assert ends == ["left", box.container_id]
    assert not Path(f"/proc/{pid}").exists()


async def test_what_is_refused(world: World) -> None:
    box = world.bundle()
    await box.connect(box.start())
    with pytest.raises(NotFound):
        await box.call("State")
    await box.call("Shutdown")
    await settle(lambda: not Path(f"/proc/{box.shim_pid}").exists())
    await box.run("sleep", "1000")
    with pytest.raises(AlreadyExists):
        await box.call("Create", bundle=str(box.path))
    with pytest.raises(FailedPrecondition):
        await box.call("Start")
    with pytest.raises(FailedPrecondition, match="running"):
        await box.call("Delete")
    with pytest.raises(InvalidArgument):
        await box.call("Kill", signal=1000)
    with pytest.raises(InvalidArgument):
        await box.exec("../../escape", "true")
    with pytest.raises(NotFound):
        await box.call("State", exec_id="nobody")
    # A client may resize what has no terminal, as with containerd's own shims.
    await box.call("ResizePty", width=10, height=10)
    await box.exec("once", "true")
    with pytest.raises(AlreadyExists):
        await box.exec("once", "true")
    with pytest.raises(Exception, match="executable file not found"):
        await box.exec("missing", "no-such-program")
    # Not while it has a container.
    await box.call("Shutdown", now=True)
    assert (await box.call("State")).status == task_pb2.RUNNING
    await box.call("Kill", signal=9)
    await box.call("Wait")
    with pytest.raises(NotFound):
        await box.call("Kill", signal=9)


async def test_a_created_container_can_go_without_a_start(world: World) -> None:
    box = world.bundle()
    pid = await box.create("sleep", "1000")
    await box.call("Delete")
    assert not Path(f"/proc/{pid}").exists()
    assert "start" not in world.told.topics


async def test_a_deletion_during_a_creation_waits_for_it(world: World) -> None:
    box = world.bundle()
    box.config["process"]["args"] = ["sleep", "1000"]
    await box.connect(box.start())
    creating = asyncio.ensure_future(box.call("Create", bundle=str(box.path)))
    await asyncio.sleep(0)
    await box.call("Delete")
    pid = (await creating).pid
    assert not Path(f"/proc/{pid}").exists()


async def test_pause_pids_stats_update(world: World) -> None:
    box = world.bundle()
    pid = await box.run("sh", "-c", "sleep 1000 & wait")
    other = await box.exec("more", "sleep", "1000")
    await settle(lambda: len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()) == 1)
    found = {each.pid: each for each in (await box.call("Pids")).processes}
    assert {pid, other} < set(found)
    assert oci_pb2.ProcessDetails.FromString(found[other].info.value).exec_id == "more"
    await box.call("Pause")
    assert (await box.call("State")).status == task_pb2.PAUSED
    await box.call("Resume")
    assert (await box.call("State")).status == task_pb2.RUNNING
    limits = typeurl.pack_json(typeurl.RESOURCES_URL, {"pids": {"limit": 77}})
    await box.call("Update", resources=limits)
    stats = (await box.call("Stats")).stats
    version = metrics_v1 if stats.type_url == "io.containerd.cgroups.v1.Metrics" else metrics_v2
    assert version.Metrics.FromString(stats.value).pids.limit == 77
    connected = await box.call("Connect")
    # The shim, or the worker of one that is kept small while nothing happens.
    stat = Path(f"/proc/{connected.shim_pid}/stat").read_text().rpartition(")")[2]
    assert box.shim_pid in (connected.shim_pid, int(stat.split()[1]))
    assert connected.task_pid == pid
    await world.told.until("resumed")
    assert "paused" in world.told.topics


async def test_memory_kills_are_told_when_they_happen(world: World) -> None:
    box = world.bundle()
    box.config["linux"]["resources"]["memory"] = {"limit": 20 << 20, "swap": 20 << 20}
    eat = "dd if=/dev/zero of=/dev/null bs=100M count=1"
    await box.run("sh", "-c", f"{eat}; sleep 1000")
    event = await world.told.until("oom")
    assert event.container_id == box.container_id
    # The container itself lives on.
    assert (await box.call("State")).status == task_pb2.RUNNING
    assert "exit" not in world.told.topics


async def test_a_group_shares_a_shim(world: World) -> None:
    first = world.bundle(**{"io.kubernetes.cri.sandbox-id": "pod"})
    second = world.bundle(**{"io.kubernetes.cri.sandbox-id": "pod"})
    other = world.bundle(**{"io.kubernetes.cri.sandbox-id": "another"})
    await first.run("sleep", "1000")
    await second.run("sleep", "1000")
    await other.run("sleep", "1000")
    assert first.shim_pid == second.shim_pid != other.shim_pid
    await second.end()
    # The first is still served.
    assert (await first.call("State")).status == task_pb2.RUNNING


async def test_start_of_a_shim_that_serves_gives_its_address(world: World) -> None:
    box = world.bundle()
    await box.run("sleep", "1000")
    pid = box.shim_pid
    assert box.start().removeprefix("unix://") == (box.path / "address").read_text().removeprefix(
        "unix://"
    )
    assert box.shim_pid == pid


async def test_bootstrap_parameters_of_containerd_2_3(world: World) -> None:
    box = world.bundle()
    (box.path / "config.json").write_text(json.dumps(box.config))
    params = bootstrap_pb2.BootstrapParams(
        instance_id=box.container_id,
        namespace="tests",
        containerd_ttrpc_address=str(world.root / "c.sock.ttrpc"),
        containerd_grpc_address=str(world.root / "c.sock"),
        socket_dir=str(world.root / "o"),
    )
    done = subprocess.run(
        [SHIM, *box.flags, "start"],
        input=params.SerializeToString(),
        capture_output=True,
        cwd=box.path,
        check=True,
    )
    world.bundles.append(box)
    result = bootstrap_pb2.BootstrapResult.FromString(done.stdout)
    assert (result.version, result.protocol) == (3, "ttrpc")
    assert result.address.startswith(f"unix://{world.root}/o/")
    box.version = "containerd.task.v3.Task"
    await box.connect(result.address)
    await box.call("Shutdown")


def test_info_and_version() -> None:
    done = subprocess.run([SHIM, "-info"], input=b"", capture_output=True, check=True)
    info = RuntimeInfo.FromString(done.stdout)
    assert info.name == "io.containerd.dockyard.v1"
    assert typeurl.unpack_json(info.features)["ociVersionMax"]
    assert b"Version" in subprocess.run([SHIM, "-v"], capture_output=True, check=True).stdout


async def test_delete_after_a_shim_that_died(world: World) -> None:
    box = world.bundle()
    pid = await box.run("sleep", "1000")
    os.kill(box.shim_pid, signal.SIGKILL)
    done = subprocess.run(
        [SHIM, *box.flags, "-bundle", str(box.path), "delete"],
        cwd=box.path,
        capture_output=True,
        check=True,
    )
    response = shim_pb2.DeleteResponse.FromString(done.stdout)
    assert (response.pid, response.exit_status) == (pid, 137)
    assert response.HasField("exited_at")
    await settle(lambda: not Path(f"/proc/{pid}").exists())


async def test_another_shim_goes_on_with_a_killed_ones_container(
    world: World, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    box = world.bundle()
    script = "trap 'echo bye; exit 33' TERM; n=0; while true; do n=$((n+1)); echo line $n; usleep 2000; done"
    pid = await box.run("sh", "-c", script, stdout=f"json-file://{log}")
    running = await box.exec(
        "kept", "sh", "-c", "trap 'exit 44' USR1; while true; do sleep 0.1; done"
    )
    for count in range(3):
        lines = log.read_bytes().count(b"\n")
        await settle(lambda lines=lines: log.read_bytes().count(b"\n") > lines + 20)
        victim = box.shim_pid
        os.kill(victim, signal.SIGKILL)
        await box.connect(box.start())
        assert box.shim_pid != victim, count
        state = await box.call("State")
        assert (state.status, state.pid) == (task_pb2.RUNNING, pid)
        assert (await box.call("State", exec_id="kept")).pid == running
    await box.exec("fresh", "true")
    await box.call("Kill", exec_id="kept", signal=signal.SIGUSR1)
    assert (await box.call("Wait", exec_id="kept")).exit_status in (44, 137)
    await box.call("Kill", signal=signal.SIGTERM)
    # The kernel tells the status of a process of somebody else once that one has reaped it (Linux 6.15).
    assert (await box.call("Wait")).exit_status in (33, 137)
    texts = [json.loads(line)["log"] for line in log.read_bytes().splitlines()]
    assert texts[-1] == "bye\n"
    numbers = [int(text.split()[1]) for text in texts[:-1]]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] - len(numbers) < 20


async def test_a_recorded_end_is_told_by_the_next_shim(world: World) -> None:
    box = world.bundle()
    await box.run("sleep", "1000")
    os.kill(box.shim_pid, signal.SIGSTOP)
    pid = (json.loads((box.path / "shim.json").read_text())["processes"][0])["pid"]
    os.kill(pid, signal.SIGKILL)
    os.kill(box.shim_pid, signal.SIGKILL)
    await box.connect(box.start())
    assert (await box.call("Wait")).exit_status == 137
    assert (await world.told.until("exit")).exit_status == 137


async def test_a_shim_that_nobody_wants_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told by a shim whose patience was shortened: it has no container and no connection."""
    code = (
        f"import sys; from shim import server; server._LONELY = 0.2; sys.argv[0] = {str(SHIM)!r};"
        "from shim.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    box = world.bundle()
    (box.path / "config.json").write_text(json.dumps(box.config))
    subprocess.run(
        [BIN_PYTHON, "-c", code, *box.flags, "start"],
        cwd=box.path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True,
        env={**os.environ, **world.environment},
    )  # fmt: skip
    await settle(lambda: not Path(f"/proc/{box.shim_pid}").exists())
    assert list((world.root / "s").iterdir()) == []


BIN_PYTHON = SHIM.parent.parent / "venv/bin/python"


async def test_the_shim_enters_the_cgroup_that_options_name(world: World) -> None:
    roots = [path for path in Path("/sys/fs/cgroup").iterdir() if (path / "cgroup.procs").exists()]
    root = next((path for path in roots if path.name == "pids"), Path("/sys/fs/cgroup"))
    name = f"dockyard-shim-tests-{os.getpid()}"
    box = world.bundle()
    await box.connect(box.start())
    missing = runc_options(shim_cgroup=f"/{name}")
    with pytest.raises(FailedPrecondition, match=f"failed to load cgroup /{name}"):
        await box.call("Create", bundle=str(box.path), options=missing)
    (root / name).mkdir()
    try:
        await box.call("Create", bundle=str(box.path), options=missing)
        inside = {int(word) for word in (root / name / "cgroup.procs").read_text().split()}
        # Both of its processes, and not the container.
        state = await box.call("State")
        assert box.shim_pid in inside
        assert (await box.call("Connect")).shim_pid in inside
        assert state.pid not in inside
        await box.end()
        await settle(lambda: not Path(f"/proc/{box.shim_pid}").exists())
    finally:
        await settle(lambda: not (root / name / "cgroup.procs").read_text())
        (root / name).rmdir()


async def test_options_that_nobody_would_read_are_refused(world: World) -> None:
    box = world.bundle()
    await box.connect(box.start())
    for fields in ({"config_path": "/etc/x.toml"}, {"config_body": b"x = 1"}):
        options = typeurl.pack(api_pb2.Options(type_url="x", **fields))
        with pytest.raises(InvalidArgument, match=next(iter(fields))):
            await box.call("Create", bundle=str(box.path), options=options)
    options = typeurl.pack(api_pb2.Options(type_url="containerd.runc.v1.Options"))
    assert (await box.call("Create", bundle=str(box.path), options=options)).pid > 0
    await box.call("Delete")
