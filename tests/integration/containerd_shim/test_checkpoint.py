"""Checkpoint and restore through the shim: what the runtime is asked, and what is told of it. CRIU is a stand-in."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.any_pb2 import Any as Packed
from tests.integration.containerd_shim.conftest import World, runc_options, settle
from tests.support.criu import StandIn

from wire import typeurl
from wire.errors import FailedPrecondition, InvalidArgument, NotFound, NotImplementedYet
from wire.gen.containerd.types.runc.options import oci_pb2
from wire.gen.containerd.types.task import task_pb2

pytestmark = pytest.mark.root


@pytest.fixture
def criu(world: World, tmp_path: Path) -> StandIn:
    found = StandIn(tmp_path / "criu")
    found.install()
    world.environment |= found.environment
    return found


def options(**fields: Any) -> Packed:
    return typeurl.pack(oci_pb2.CheckpointOptions(**fields))


async def test_a_checkpoint_lets_the_container_go_on(
    world: World, criu: StandIn, tmp_path: Path
) -> None:
    box = world.bundle()
    pid = await box.run("sleep", "1000")
    await box.call("Checkpoint", path=str(tmp_path / "images"))
    asked = criu.options
    # That it goes on, and nothing else that was not asked for.
    assert (asked[2], asked[3], asked[4], asked[5], asked[7], asked[8]) == (pid, 1, 0, 0, 0, 0)
    assert criu.told["directories"] == [str(tmp_path / "images"), f"{box.path}/criu-work"]
    assert not (box.path / "criu-work").exists()
    assert (await box.call("State")).status == task_pb2.RUNNING
    event = await world.told.until("checkpointed")
    assert (event.container_id, event.checkpoint) == (box.container_id, str(tmp_path / "images"))


async def test_a_checkpoint_that_ends_the_container(
    world: World, criu: StandIn, tmp_path: Path
) -> None:
    box = world.bundle()
    await box.run("sleep", "1000")
    wanted = options(
        exit=True, open_tcp=True, external_unix_sockets=True, terminal=True, file_locks=True,
        empty_namespaces=["network"], cgroups_mode="soft", work_path=str(tmp_path / "work"),
    )  # fmt: skip
    await box.call("Checkpoint", path=str(tmp_path / "images"), options=wanted)
    asked = criu.options
    assert (asked[3], asked[4], asked[5], asked[7], asked[8]) == (0, 1, 1, 1, 1)
    # The mode of cgroups, and CLONE_NEWNET.
    assert (asked[34], asked[38]) == (3, 0x40000000)
    # The client's own is kept.
    assert (tmp_path / "work").is_dir()
    assert (await box.call("Wait")).exit_status == 137
    assert (await world.told.until("exit")).exit_status == 137
    await box.call("Delete")


async def test_a_failed_checkpoint_says_where_its_log_is(
    world: World, criu: StandIn, tmp_path: Path
) -> None:
    box = world.bundle()
    await box.run("sleep", "1000")
    criu.will_dump(success=False, log="Error (criu/x.c:1): it would not\n")
    with pytest.raises(Exception, match=f"it would not.* path= {box.path}/criu-dump.log"):
        await box.call("Checkpoint", path=str(tmp_path / "images"))
    assert "it would not" in (box.path / "criu-dump.log").read_text()
    assert (await box.call("State")).status == task_pb2.RUNNING
    assert "checkpointed" not in world.told.topics


async def test_without_criu(world: World, tmp_path: Path) -> None:
    if shutil.which("criu"):
        pytest.skip("there is one")
    box = world.bundle()
    await box.run("sleep", "1000")
    with pytest.raises(Exception, match="criu is needed and is not there"):
        await box.call("Checkpoint", path=str(tmp_path / "images"))
    assert (await box.call("State")).status == task_pb2.RUNNING


async def test_a_restore(world: World, criu: StandIn, tmp_path: Path) -> None:
    saved = world.bundle()
    await saved.run("sleep", "1000")
    await saved.call("Checkpoint", path=str(tmp_path / "images"))
    await saved.end()
    world.told.events.clear()
    box = world.bundle()
    criu.will_restore(script="echo back; exit 7")
    wanted = runc_options(criu_work_path=str(tmp_path / "work"))
    out = tmp_path / "out"
    assert (
        await box.create(
            "sleep",
            "1000",
            checkpoint=str(tmp_path / "images"),
            options=wanted,
            stdout=f"file://{out}",
        )
        == 0
    )
    state = await box.call("State")
    assert (state.status, state.pid) == (task_pb2.CREATED, 0)
    with pytest.raises(NotFound):
        await box.call("Kill", signal=9)
    waiting = asyncio.ensure_future(box.call("Wait"))
    pid = (await box.call("Start")).pid
    assert pid == int((box.path / "init.pid").read_text())
    assert criu.told["directories"] == [str(tmp_path / "images"), str(tmp_path / "work")]
    assert (await waiting).exit_status == 7
    assert (await box.call("Delete")).pid == pid
    await world.told.until("delete")
    assert world.told.topics == ["create", "start", "exit", "delete"]
    assert world.told.events[0][1].checkpoint == str(tmp_path / "images")


async def test_a_restored_container_is_as_any_other(
    world: World, criu: StandIn, tmp_path: Path
) -> None:
    saved = world.bundle()
    await saved.run("sleep", "1000")
    await saved.call("Checkpoint", path=str(tmp_path / "images"), options=options(exit=True))
    await saved.end()
    box = world.bundle()
    criu.will_restore()
    await box.create("sleep", "1000", checkpoint=str(tmp_path / "images"))
    pid = (await box.call("Start")).pid
    assert {each.pid for each in (await box.call("Pids")).processes} == {pid}
    # Its shim may be killed, too.
    shim = box.shim_pid
    os.kill(shim, 9)
    await settle(lambda: not Path(f"/proc/{shim}").exists())
    await box.connect(box.start())
    state = await box.call("State")
    assert (state.status, state.pid) == (task_pb2.RUNNING, pid)
    await box.call("Kill", signal=9)
    assert (await box.call("Wait")).exit_status == 137


async def test_a_restore_that_fails_or_never_comes(
    world: World, criu: StandIn, tmp_path: Path
) -> None:
    saved = world.bundle()
    await saved.run("sleep", "1000")
    await saved.call("Checkpoint", path=str(tmp_path / "images"))
    await saved.end()
    box = world.bundle()
    criu.will_restore(success=False)
    await box.create("sleep", "1000", checkpoint=str(tmp_path / "images"))
    with pytest.raises(Exception, match="criu"):
        await box.call("Start")
    assert (await box.call("State")).status == task_pb2.STOPPED
    assert (await box.call("Wait")).exit_status == 137
    await box.call("Delete")
    await box.call("Shutdown")
    never = world.bundle()
    await never.create("sleep", "1000", checkpoint=str(tmp_path / "images"))
    await never.call("Delete")
    await never.call("Shutdown")
    for each in (box, never):
        await settle(lambda each=each: not Path(f"/proc/{each.shim_pid}").exists())


async def test_what_is_refused(world: World, criu: StandIn) -> None:
    box = world.bundle()
    await box.create("sleep", "1000")
    with pytest.raises(FailedPrecondition, match="not running"):
        await box.call("Checkpoint", path="/nowhere")
    await box.call("Start")
    for wrong in (
        Packed(type_url="x.Y", value=b""),
        Packed(type_url=options().type_url, value=b"\xff"),
    ):
        with pytest.raises(InvalidArgument, match="checkpoint options"):
            await box.call("Checkpoint", path="/nowhere", options=wrong)
    other = world.bundle()
    await other.connect(other.start())
    with pytest.raises(NotImplementedYet, match="parent"):
        await other.call("Create", bundle=str(other.path), checkpoint="/x", parent_checkpoint="/y")
    await other.call("Shutdown")
    assert "requests" not in criu.told
