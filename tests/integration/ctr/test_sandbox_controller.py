"""The controller of sandboxes, and tasks in a sandbox: a life of one, and what is killed in the middle of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from tests.integration.containerd_shim.conftest import shims_below
from tests.runtime.conftest import default_config
from tests.support.containerd import OURS, RUNC, Containerd
from tests.support.images import busybox_layer
from tests.support.stack import wait_until

from wire import typeurl
from wire.gen.containerd.events import sandbox_pb2 as events
from wire.gen.containerd.services.containers.v1 import containers_pb2, containers_pb2_grpc
from wire.gen.containerd.services.events.v1 import events_pb2, events_pb2_grpc
from wire.gen.containerd.services.sandbox.v1 import sandbox_pb2 as pb
from wire.gen.containerd.services.sandbox.v1 import sandbox_pb2_grpc
from wire.gen.containerd.services.tasks.v1 import tasks_pb2, tasks_pb2_grpc
from wire.gen.containerd.types import sandbox_pb2
from wire.gen.containerd.types.runc.options import oci_pb2

HERE = (("containerd-namespace", "default"),)


@pytest.fixture(scope="module")
def rootfs() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="dockyard-sandbox-rootfs-"))
    subprocess.run(["tar", "-x", "-C", folder], input=busybox_layer(), check=True)
    for name in ("proc", "sys", "dev"):
        (folder / name).mkdir()
    yield folder
    shutil.rmtree(folder)


@dataclass
class Pods:
    """A client of both services of sandboxes, and of the tasks in them."""

    containerd: Containerd
    rootfs: Path
    made: list[str] = field(default_factory=list)
    members: list[str] = field(default_factory=list)

    @property
    def controller(self) -> Any:
        return sandbox_pb2_grpc.ControllerStub(self.containerd.channel)

    @property
    def store(self) -> Any:
        return sandbox_pb2_grpc.StoreStub(self.containerd.channel)

    @property
    def tasks(self) -> Any:
        return tasks_pb2_grpc.TasksStub(self.containerd.channel)

    def call(self, method: str, name: str, **fields: Any) -> Any:
        request = getattr(pb, f"Controller{method}Request")
        return getattr(self.controller, method)(
            request(sandbox_id=name, sandboxer="shim", **fields), metadata=HERE, timeout=30
        )

    def spec(self, name: str, args: Sequence[str]) -> Packed:
        config = default_config(self.rootfs, f"/dockyard-sandbox-tests/{name}")
        config["process"]["args"] = list(args)
        return typeurl.pack_json(typeurl.SPEC_URL, config)

    def create(self, *args: str, runtime: str = OURS, **fields: Any) -> str:
        """A record and a sandbox, as Go's client makes them."""
        name = f"pod-{uuid.uuid4().hex[:10]}"
        sandbox = sandbox_pb2.Sandbox(sandbox_id=name, runtime={"name": runtime}, sandboxer="shim")
        if args:
            sandbox.spec.CopyFrom(self.spec(name, args))
        if options := fields.pop("runtime_options", None):
            sandbox.runtime.options.CopyFrom(options)
        self.store.Create(pb.StoreCreateRequest(sandbox=sandbox), metadata=HERE)
        self.made.append(name)
        self.call("Create", name, sandbox=sandbox, **fields)
        return name

    def member(self, pod: str, *args: str, **fields: Any) -> int:
        """A running task in a sandbox; its pid. Its id is the last of ``members``."""
        name = f"in-{uuid.uuid4().hex[:10]}"
        stub = containers_pb2_grpc.ContainersStub(self.containerd.channel)
        container = containers_pb2.Container(
            id=name, runtime={"name": OURS}, spec=self.spec(name, args), sandbox=pod
        )
        stub.Create(containers_pb2.CreateContainerRequest(container=container), metadata=HERE)
        self.members.append(name)
        request = tasks_pb2.CreateTaskRequest(container_id=name, **fields)
        pid = self.tasks.Create(request, metadata=HERE, timeout=30).pid
        self.tasks.Start(tasks_pb2.StartRequest(container_id=name), metadata=HERE)
        return int(pid)

    def end(self, name: str) -> None:
        """End a task and its container."""
        for call in (
            lambda: self.tasks.Kill(
                tasks_pb2.KillRequest(container_id=name, signal=9), metadata=HERE
            ),
            lambda: self.tasks.Wait(tasks_pb2.WaitRequest(container_id=name), metadata=HERE),
            lambda: self.tasks.Delete(
                tasks_pb2.DeleteTaskRequest(container_id=name), metadata=HERE
            ),
        ):
            with contextlib.suppress(grpc.RpcError):
                call()
        self.members.remove(name)
        stub = containers_pb2_grpc.ContainersStub(self.containerd.channel)
        stub.Delete(containers_pb2.DeleteContainerRequest(id=name), metadata=HERE)

    def remove(self, name: str) -> None:
        """As `ctr sandboxes rm` does."""
        self.call("Stop", name)
        with contextlib.suppress(grpc.RpcError):
            self.call("Shutdown", name)
        self.made.remove(name)
        self.store.Delete(pb.StoreDeleteRequest(sandbox_id=name), metadata=HERE)


@pytest.fixture
def pods(containerd: Containerd, rootfs: Path) -> Iterator[Pods]:
    found = Pods(containerd, rootfs)
    yield found
    for name in list(found.members):
        found.end(name)
    for name in list(found.made):
        found.remove(name)
    assert list(containerd.root.glob("state/io.containerd.sandbox.controller.v1.shim/*/*")) == []
    wait_until(lambda: shims_below(containerd.root / "state") == [])
    groups = Path("/sys/fs/cgroup").glob("*/dockyard-sandbox-tests/*")
    assert [path for path in groups if path.is_dir()] == []


@contextlib.contextmanager
def told(containerd: Containerd) -> Iterator[list[tuple[str, Any]]]:
    """The events of sandboxes while it lasts."""
    stub = events_pb2_grpc.EventsStub(containerd.channel)
    call = stub.Subscribe(events_pb2.SubscribeRequest(filters=['topic~="/sandboxes/"']))
    found: list[tuple[str, Any]] = []

    def read() -> None:
        with contextlib.suppress(grpc.RpcError):
            for each in call:
                found.append((each.topic, typeurl.unpack(each.event)))

    call.initial_metadata()
    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield found
    finally:
        call.cancel()
        reader.join(20)


def test_a_life_and_its_events(pods: Pods) -> None:
    with told(pods.containerd) as heard:
        name = pods.create("sleep", "1000")
        status = pods.call("Status", name)
        assert (status.state, status.pid > 0) == ("SANDBOX_NOTREADY", True)
        started = pods.call("Start", name)
        assert started.pid == status.pid
        assert started.version == 3
        assert started.address.startswith("ttrpc+unix:///")
        status = pods.call("Status", name, verbose=True)
        assert (status.state, status.created_at) == ("SANDBOX_READY", started.created_at)
        assert name in status.info["bundle"]
        assert pods.call("Platform", name).platform.architecture == "amd64"
        assert pods.call("Metrics", name).metrics.data.value
        # It is no task.
        assert pods.containerd.ctr("tasks", "ls", "-q") == ""
        waiting = pods.controller.Wait.future(
            pb.ControllerWaitRequest(sandbox_id=name, sandboxer="shim"), metadata=HERE
        )
        pods.call("Stop", name)
        assert waiting.result(20).exit_status == 137
        assert pods.call("Wait", name).exited_at == waiting.result().exited_at
        assert pods.call("Status", name).state == "SANDBOX_NOTREADY"
        pods.call("Shutdown", name)
        wait_until(lambda: len(heard) == 3)
    assert [topic for topic, _ in heard] == [
        "/sandboxes/create",
        "/sandboxes/start",
        "/sandboxes/exit",
    ]
    assert heard[-1][1] == events.SandboxExit(
        sandbox_id=name, exit_status=137, exited_at=waiting.result().exited_at
    )
    # As the original: what is not there has ended, and can be stopped.
    assert pods.call("Status", name).HasField("exited_at")
    pods.call("Stop", name)
    for method in ("Wait", "Start", "Shutdown", "Metrics", "Platform"):
        with pytest.raises(grpc.RpcError) as raised:
            pods.call(method, name)
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND, method


def test_tasks_in_a_sandbox_share_its_shim(pods: Pods) -> None:
    name = pods.create("sleep", "1000")
    pid = pods.call("Start", name).pid
    first, second = (pods.member(name, "sleep", "1000") for _ in range(2))
    assert len(shims_below(pods.containerd.root / "state")) in (1, 2)
    parents = {
        Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[1]
        for each in (pid, first, second)
    }
    assert len(parents) == 1
    with pytest.raises(grpc.RpcError) as raised:
        pods.call("Shutdown", name)
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    pods.end(pods.members[0])
    assert pods.call("Status", name).state == "SANDBOX_READY"
    assert Path(f"/proc/{second}").exists()


def test_a_sandbox_without_a_process_groups_tasks(pods: Pods) -> None:
    name = pods.create()
    started = pods.call("Start", name)
    with pytest.raises(grpc.RpcError) as raised:
        pods.call("Metrics", name)
    assert raised.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    pid = pods.member(
        name, "sleep", "1000", task_api_address=started.address, task_api_version=started.version
    )
    assert Path(f"/proc/{pid}").exists()


def test_what_a_task_in_a_sandbox_may_say(pods: Pods) -> None:
    name = pods.create()
    for address, code in (
        ("/run/x.sock", grpc.StatusCode.INVALID_ARGUMENT),
        ("grpc+vsock://3:1024", grpc.StatusCode.UNIMPLEMENTED),
        ("ttrpc+unix:///nowhere.sock", grpc.StatusCode.UNAVAILABLE),
    ):
        with pytest.raises(grpc.RpcError) as raised:
            pods.member(name, "true", task_api_address=address)
        assert raised.value.code() is code, address
    with pytest.raises(grpc.RpcError) as raised:
        pods.member("", "true", task_api_address="ttrpc+unix:///nowhere.sock")
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    # A sandbox that no record knows is one of an old client, for whom the spec's annotations group containers.
    assert pods.member("nobody", "sleep", "1000") > 0
    # One with a record has to run.
    pods.call("Shutdown", name)
    with pytest.raises(grpc.RpcError) as raised:
        pods.member(name, "true")
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_killed_daemon_finds_them_again(pods: Pods) -> None:
    name = pods.create("sleep", "1000")
    pid = pods.call("Start", name).pid
    other = pods.create("sleep", "1000")
    gone = pods.call("Start", other).pid
    member = pods.member(name, "sleep", "1000")
    pods.containerd.end(signal.SIGKILL)
    os.kill(gone, signal.SIGKILL)
    pods.containerd.start()
    status = pods.call("Status", name)
    assert (status.state, status.pid) == ("SANDBOX_READY", pid)
    # What ended meanwhile is told to whoever asks, and as an event.
    with told(pods.containerd) as heard:
        wait_until(lambda: [each for topic, each in heard if topic == "/sandboxes/exit"])
    assert {each.sandbox_id for topic, each in heard if topic == "/sandboxes/exit"} == {other}
    assert pods.call("Wait", other).exit_status == 137
    assert str(member) in pods.containerd.ctr("tasks", "ls")
    # Tasks can be added still.
    assert pods.member(name, "sleep", "1000") > 0


@pytest.mark.parametrize("args", [("sleep", "1000"), ()], ids=["process", "none"])
def test_a_killed_shim_is_replaced(pods: Pods, args: tuple[str, ...]) -> None:
    name = pods.create(*args)
    pid = pods.call("Start", name).pid
    member = pods.member(name, "sleep", "1000")
    for shim in shims_below(pods.containerd.root / "state"):
        # The keeper's worker may die with it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(shim, signal.SIGKILL)
        wait_until(lambda shim=shim: not Path(f"/proc/{shim}").exists())
    # The call waits for the next shim.
    status = pods.call("Status", name)
    assert status.state == "SANDBOX_READY"
    assert status.pid == pid or not args
    wait_until(lambda: f"{member}    RUNNING" in pods.containerd.ctr("tasks", "ls"))
    # One shim for both, as before.
    state = pods.containerd.root / "state"
    sockets = {path.read_text() for path in state.glob("io.containerd.*/*/*/address")}
    assert len(sockets) == 1
    assert pods.member(name, "sleep", "1000") > 0


def test_a_shim_and_the_daemon_killed_at_once(pods: Pods) -> None:
    name = pods.create("sleep", "1000")
    pid = pods.call("Start", name).pid
    pods.containerd.end(signal.SIGKILL)
    for shim in shims_below(pods.containerd.root / "state"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(shim, signal.SIGKILL)
    pods.containerd.start()
    status = pods.call("Status", name)
    assert (status.state, status.pid) == ("SANDBOX_READY", pid)


def test_options_reach_the_runtime(pods: Pods, tmp_path: Path) -> None:
    options = typeurl.pack(oci_pb2.Options(root=str(tmp_path)))
    name = pods.create("sleep", "1000", runtime_options=options, annotations={"a": "b"})
    assert (tmp_path / "default" / name).exists()
    bundle = next(pods.containerd.root.glob(f"state/*/default/{name}"))
    assert json.loads((bundle / "config.json").read_text())["annotations"] == {"a": "b"}


def test_clients_of_1_7_name_neither_controller_nor_sandbox(pods: Pods) -> None:
    sandbox = sandbox_pb2.Sandbox(sandbox_id="old", runtime={"name": OURS})
    sandbox.spec.CopyFrom(pods.spec("old", ["sleep", "1000"]))
    pods.store.Create(pb.StoreCreateRequest(sandbox=sandbox), metadata=HERE)
    pods.made.append("old")
    pods.controller.Create(pb.ControllerCreateRequest(sandbox_id="old"), metadata=HERE)
    started = pods.controller.Start(pb.ControllerStartRequest(sandbox_id="old"), metadata=HERE)
    command = Path(f"/proc/{started.pid}/cmdline")
    wait_until(lambda: command.read_bytes() == b"sleep\x001000\x00")


def test_what_is_refused(pods: Pods) -> None:
    name = pods.create()

    def refused(method: str, **fields: Any) -> tuple[grpc.StatusCode, str]:
        request = getattr(pb, f"Controller{method}Request")(**fields)
        with pytest.raises(grpc.RpcError) as raised:
            getattr(pods.controller, method)(request, metadata=HERE)
        return raised.value.code(), raised.value.details()

    # Neither a sandbox in the request nor a record of one, which clients of 1.7 rely on.
    code, text = refused("Create", sandbox_id="x")
    assert (code, '"x": not found' in text) == (grpc.StatusCode.NOT_FOUND, True)
    code, text = refused("Status", sandbox_id=name, sandboxer="podsandbox")
    assert (code, "controller by podsandbox" in text) == (grpc.StatusCode.NOT_FOUND, True)
    code, _ = refused("Update", sandbox_id=name, sandboxer="shim")
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    ours = sandbox_pb2.Sandbox(sandbox_id=name, runtime={"name": OURS})
    code, _ = refused("Create", sandbox_id=name, sandboxer="shim", sandbox=ours)
    assert code is grpc.StatusCode.ALREADY_EXISTS
    for sandbox_id in ("", "../x", "a/b"):
        code, _ = refused("Create", sandbox_id=sandbox_id, sandbox={"runtime": {"name": OURS}})
        assert code is grpc.StatusCode.INVALID_ARGUMENT
    code, _ = refused("Create", sandbox_id="other", sandboxer="shim", sandbox=ours)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    ours.runtime.name = "io.containerd.nope.v1"
    ours.sandbox_id = "other"
    code, _ = refused("Create", sandbox_id="other", sandboxer="shim", sandbox=ours)
    assert code is grpc.StatusCode.NOT_FOUND
    # A program that is not there: nothing is left.
    with pytest.raises(grpc.RpcError, match="no-such-program"):
        pods.create("no-such-program")
    # Another namespace does not see it.
    with pytest.raises(grpc.RpcError) as raised:
        pods.controller.Wait(
            pb.ControllerWaitRequest(sandbox_id=name, sandboxer="shim"),
            metadata=(("containerd-namespace", "other"),),
        )
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_shim_without_sandboxes_leaves_nothing(pods: Pods) -> None:
    if not (shutil.which("containerd-shim-runc-v2") and shutil.which("runc")):
        pytest.skip("needs Debian's containerd-shim-runc-v2 and runc")
    with pytest.raises(grpc.RpcError) as raised:
        pods.create("sleep", "1000", runtime=RUNC)
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    state = pods.containerd.root / "state"
    wait_until(lambda: not list(state.glob("io.containerd.sandbox.controller.v1.shim/*/*")))
    wait_until(lambda: not _shims_of(pods.containerd))


def _shims_of(containerd: Containerd) -> list[str]:
    """The processes that were started as shims for this daemon."""
    needle = f"\0-address\0{containerd.address}\0".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if needle in entry.read_bytes():
                found.append(entry.parent.name)
    return found
