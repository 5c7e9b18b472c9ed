"""Clients of containerd by gRPC that hold it to its word while it is killed: what was answered stays true.

A call whose daemon dies is made again, as any client would; what the first attempt may have done already is no error then.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import any_pb2

from wire import typeurl
from wire.gen.containerd.services.containers.v1 import containers_pb2, containers_pb2_grpc
from wire.gen.containerd.services.content.v1 import content_pb2, content_pb2_grpc
from wire.gen.containerd.services.images.v1 import images_pb2, images_pb2_grpc
from wire.gen.containerd.services.leases.v1 import leases_pb2, leases_pb2_grpc
from wire.gen.containerd.services.sandbox.v1 import sandbox_pb2, sandbox_pb2_grpc
from wire.gen.containerd.services.snapshots.v1 import snapshots_pb2, snapshots_pb2_grpc
from wire.gen.containerd.services.tasks.v1 import tasks_pb2, tasks_pb2_grpc
from wire.gen.containerd.services.transfer.v1 import transfer_pb2, transfer_pb2_grpc
from wire.gen.containerd.types import platform_pb2
from wire.gen.containerd.types import sandbox_pb2 as sandbox_types
from wire.gen.containerd.types.transfer import imagestore_pb2, registry_pb2
from wire.grpc_adapter import CHANNEL_OPTIONS

_PATIENCE = 120.0
# The daemon has gone, or is about to go.
_AWAY = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})
_THERE, _GONE, _DONE = (
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION,
)
SCRIPT = "trap 'exit 7' TERM; n=0; while true; do n=$((n+1)); echo line $n; usleep 20000; done"


class Client:
    """A connection of its own in the default namespace, under a lease if one is given."""

    def __init__(self, address: Path) -> None:
        self.channel = grpc.insecure_channel(f"unix:{address}", options=CHANNEL_OPTIONS)
        self.containers = containers_pb2_grpc.ContainersStub(self.channel)
        self.content = content_pb2_grpc.ContentStub(self.channel)
        self.images = images_pb2_grpc.ImagesStub(self.channel)
        self.controller = sandbox_pb2_grpc.ControllerStub(self.channel)
        self.leases = leases_pb2_grpc.LeasesStub(self.channel)
        self.sandboxes = sandbox_pb2_grpc.StoreStub(self.channel)
        self.snapshots = snapshots_pb2_grpc.SnapshotsStub(self.channel)
        self.tasks = tasks_pb2_grpc.TasksStub(self.channel)
        self.transfer = transfer_pb2_grpc.TransferStub(self.channel)
        self.lease = ""
        self.cut = 0

    def ask(self, method: Any, request: Any, *again: grpc.StatusCode) -> Any:
        """The answer, after as many attempts as it takes; None if a further attempt is told that it is done (``again``)."""
        deadline, attempts = time.monotonic() + _PATIENCE, 0
        while True:
            try:
                return method(
                    request, metadata=self.metadata, timeout=_PATIENCE, wait_for_ready=True
                )
            except grpc.RpcError as error:
                if attempts and error.code() in again:
                    return None
                if error.code() not in _AWAY or time.monotonic() > deadline:
                    raise AssertionError(
                        f"{type(request).__name__}: {error.code()} {error.details()}"
                    ) from None
                attempts += 1
                self.cut += 1

    @property
    def metadata(self) -> Sequence[tuple[str, str]]:
        held = (("containerd-lease", self.lease),) if self.lease else ()
        return (("containerd-namespace", "default"), *held)

    @contextlib.contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Under a lease, which ends with the block."""
        self.ask(self.leases.Create, leases_pb2.CreateRequest(id=name), _THERE)
        self.lease = name
        yield
        self.lease = ""
        self.ask(self.leases.Delete, leases_pb2.DeleteRequest(id=name), _GONE)


class Load:
    """Workers in threads of their own, each with a connection and a seed."""

    def __init__(self, address: Path, seed: int) -> None:
        self._address = address
        self._seed = seed
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.complaints: list[str] = []
        self.done: dict[str, int] = {}
        self.cut = 0

    def start(self, name: str, work: Callable[[Client, random.Random, int], None]) -> None:
        """Repeat ``work(client, chance, number)`` until the end."""
        chance = random.Random(f"{self._seed}:{name}")

        def run() -> None:
            client = Client(self._address)
            number = 0
            try:
                while not self._stop.is_set():
                    work(client, chance, number)
                    number += 1
                    self.done[name] = number
            except Exception as error:
                moment = time.strftime("%T", time.gmtime())
                self.complaints.append(f"{moment} {name} {number}: {error!r}")
            finally:
                self.cut += client.cut
                client.channel.close()

        thread = threading.Thread(target=run, name=name)
        self._threads.append(thread)
        thread.start()

    def finish(self) -> None:
        """Let every worker end what it does."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * _PATIENCE)
            if thread.is_alive():
                self.complaints.append(f"{thread.name}: does not end")


class Containers:
    """What is done to containers; ``template`` is a container that ctr made, ``top`` the snapshot of its image."""

    def __init__(self, template: containers_pb2.Container, top: str, folder: Path) -> None:
        self._template = template
        self._top = top
        self._folder = folder
        # By which what is left of them is found.
        self.mark = template.id

    def log(self, name: str) -> Path:
        """Where a container's output goes."""
        return self._folder / f"{name}.out"

    def run(self, client: Client, name: str, sandbox: str = "") -> int:
        """Snapshot, container, task, start, in a sandbox or not; the pid."""
        with client.held(f"lease-{name}"):
            prepare = snapshots_pb2.PrepareSnapshotRequest(
                snapshotter="overlayfs", key=name, parent=self._top
            )
            client.ask(client.snapshots.Prepare, prepare, _THERE)
            container = containers_pb2.Container()
            container.CopyFrom(self._template)
            container.id, container.snapshot_key, container.sandbox = name, name, sandbox
            container.spec.value = self._template.spec.value.replace(
                self._template.id.encode(), name.encode()
            )
            request = containers_pb2.CreateContainerRequest(container=container)
            client.ask(client.containers.Create, request, _THERE)
        mounts = snapshots_pb2.MountsRequest(snapshotter="overlayfs", key=name)
        rootfs = client.ask(client.snapshots.Mounts, mounts).mounts
        create = tasks_pb2.CreateTaskRequest(
            container_id=name, rootfs=rootfs, stdout=f"file://{self.log(name)}"
        )
        client.ask(client.tasks.Create, create, _THERE)
        client.ask(client.tasks.Start, tasks_pb2.StartRequest(container_id=name), _DONE)
        get = tasks_pb2.GetRequest(container_id=name)
        return int(client.ask(client.tasks.Get, get).process.pid)

    def remove(self, client: Client, name: str) -> None:
        """Task, container, snapshot."""
        client.ask(client.tasks.Delete, tasks_pb2.DeleteTaskRequest(container_id=name), _GONE)
        client.ask(client.containers.Delete, containers_pb2.DeleteContainerRequest(id=name), _GONE)
        remove = snapshots_pb2.RemoveSnapshotRequest(snapshotter="overlayfs", key=name)
        # The collector may have been faster: nothing refers to it any more.
        with contextlib.suppress(AssertionError):
            client.ask(client.snapshots.Remove, remove, _GONE)
        self.log(name).unlink(missing_ok=True)

    def cycle(self, client: Client, chance: random.Random, number: int) -> None:
        """A container's whole life; its exit code is the one that its end has."""
        name = f"cycle{number}-{threading.get_native_id()}-{self._template.id}"
        self.run(client, name)
        time.sleep(chance.random() / 5)
        signal, code = chance.choice(((15, 7), (9, 137)))
        # The trap must be set before the signal comes.
        self.say(name)
        kill = tasks_pb2.KillRequest(container_id=name, signal=signal)
        client.ask(client.tasks.Kill, kill, _GONE)
        done = client.ask(client.tasks.Wait, tasks_pb2.WaitRequest(container_id=name))
        assert done.exit_status == code, (name, done.exit_status, code)
        self.remove(client, name)

    def say(self, name: str) -> None:
        """Wait until a container has said something."""
        deadline = time.monotonic() + 30
        while not self.log(name).exists() or not self.log(name).read_bytes():
            assert time.monotonic() < deadline, f"{name} says nothing"
            time.sleep(0.02)

    def exec(self, name: str) -> Callable[[Client, random.Random, int], None]:
        """A process in a container that always runs: it runs once, and its exit code is told."""

        def work(client: Client, chance: random.Random, number: int) -> None:
            code, exec_id = chance.choice((0, 3)), f"exec{number}"
            spec = {
                "args": ["sh", "-c", f"echo x >> /ran{number}; exit {code}"],
                "cwd": "/",
                "env": ["PATH=/bin"],
                "user": {"uid": 0, "gid": 0},
            }
            process = typeurl_json("Process", spec)
            create = tasks_pb2.ExecProcessRequest(container_id=name, exec_id=exec_id, spec=process)
            client.ask(client.tasks.Exec, create, _THERE)
            start = tasks_pb2.StartRequest(container_id=name, exec_id=exec_id)
            client.ask(client.tasks.Start, start, _DONE)
            wait = tasks_pb2.WaitRequest(container_id=name, exec_id=exec_id)
            found = client.ask(client.tasks.Wait, wait).exit_status
            assert found == code, (exec_id, found, code)
            delete = tasks_pb2.DeleteProcessRequest(container_id=name, exec_id=exec_id)
            client.ask(client.tasks.DeleteProcess, delete, _GONE)

        return work


class Pods:
    """What is done to sandboxes, each with a process of its own in ``rootfs`` and a container in it."""

    def __init__(self, containers: Containers, config: dict[str, Any], runtime: str) -> None:
        """``config`` is the specification of a sandbox's process."""
        self._containers = containers
        self._config = config
        self._runtime = runtime

    def run(self, client: Client, name: str) -> tuple[int, int]:
        """A sandbox that runs, and a container in it; their pids."""
        config = {**self._config}
        config["linux"] = {**config["linux"], "cgroupsPath": f"/default/{name}"}
        sandbox = sandbox_types.Sandbox(
            sandbox_id=name, runtime={"name": self._runtime}, sandboxer="shim"
        )
        sandbox.spec.CopyFrom(typeurl.pack_json(typeurl.SPEC_URL, config))
        record = sandbox_pb2.StoreCreateRequest(sandbox=sandbox)
        client.ask(client.sandboxes.Create, record, _THERE)
        create = sandbox_pb2.ControllerCreateRequest(
            sandbox_id=name, sandboxer="shim", sandbox=sandbox
        )
        client.ask(client.controller.Create, create, _THERE)
        start = sandbox_pb2.ControllerStartRequest(sandbox_id=name, sandboxer="shim")
        client.ask(client.controller.Start, start, _DONE)
        return self.pid(client, name), self._containers.run(client, f"{name}-in", name)

    def pid(self, client: Client, name: str) -> int:
        """Of a sandbox's own process; it must be ready."""
        request = sandbox_pb2.ControllerStatusRequest(sandbox_id=name, sandboxer="shim")
        found = client.ask(client.controller.Status, request)
        assert found.state == "SANDBOX_READY", (name, found)
        return int(found.pid)

    def remove(self, client: Client, name: str) -> None:
        """End the container and then the sandbox, whose end is told."""
        inner = f"{name}-in"
        kill = tasks_pb2.KillRequest(container_id=inner, signal=9)
        client.ask(client.tasks.Kill, kill, _GONE)
        done = client.ask(client.tasks.Wait, tasks_pb2.WaitRequest(container_id=inner))
        assert done.exit_status == 137, (inner, done)
        self._containers.remove(client, inner)
        stop = sandbox_pb2.ControllerStopRequest(sandbox_id=name, sandboxer="shim")
        client.ask(client.controller.Stop, stop)
        wait = sandbox_pb2.ControllerWaitRequest(sandbox_id=name, sandboxer="shim")
        ended = client.ask(client.controller.Wait, wait)
        assert ended.exit_status == 137, (name, ended)
        shut_down = sandbox_pb2.ControllerShutdownRequest(sandbox_id=name, sandboxer="shim")
        client.ask(client.controller.Shutdown, shut_down, _GONE)
        delete = sandbox_pb2.StoreDeleteRequest(sandbox_id=name)
        client.ask(client.sandboxes.Delete, delete, _GONE)

    def cycle(self, client: Client, chance: random.Random, number: int) -> None:
        """A sandbox's whole life."""
        name = f"pod{number}-{threading.get_native_id()}-{self._containers.mark}"
        self.run(client, name)
        time.sleep(chance.random() / 5)
        self._containers.say(f"{name}-in")
        self.remove(client, name)


def typeurl_json(kind: str, document: dict[str, Any]) -> any_pb2.Any:
    """A part of a specification as containerd's clients send it."""
    url = f"types.containerd.io/opencontainers/runtime-spec/1/{kind}"
    return any_pb2.Any(type_url=url, value=json.dumps(document).encode())


def upload(client: Client, chance: random.Random, number: int) -> None:
    """A blob in pieces, resumed from where the daemon says that it is; what was committed can be read."""
    data = chance.randbytes(chance.randrange(1, 3 << 20))
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    ref = f"upload-{number}"
    with client.held(f"lease-{ref}"):
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                _write(client, ref, data, digest)
            except grpc.RpcError as error:
                if error.code() == _THERE:
                    break
                if error.code() not in _AWAY or time.monotonic() > deadline:
                    raise
                client.cut += 1
            else:
                break
        info = client.ask(client.content.Info, content_pb2.InfoRequest(digest=digest)).info
        assert info.labels["made"] == ref, info
        found = _read(client, digest)
        assert found == data, (digest, len(found), len(data))


def _write(client: Client, ref: str, data: bytes, digest: str) -> None:
    action = content_pb2.WriteAction
    request = content_pb2.WriteContentRequest

    def pieces() -> Iterator[content_pb2.WriteContentRequest]:
        yield request(action=action.STAT, ref=ref, total=len(data), expected=digest)
        offset = told.get()
        while offset < len(data):
            piece = data[offset : offset + (256 << 10)]
            yield request(action=action.WRITE, ref=ref, offset=offset, data=piece)
            offset += len(piece)
        yield request(
            action=action.COMMIT, ref=ref, total=len(data), expected=digest, offset=offset,
            labels={"made": ref},
        )  # fmt: skip

    told: queue.Queue[int] = queue.Queue()
    call = client.content.Write(
        pieces(), metadata=client.metadata, timeout=_PATIENCE, wait_for_ready=True
    )
    first = True
    try:
        for answer in call:
            if first:
                told.put(answer.offset)
                first = False
    finally:
        # The sender must not wait for ever.
        told.put(len(data))
        call.cancel()


def _read(client: Client, digest: str) -> bytes:
    while True:
        try:
            answers = client.content.Read(
                content_pb2.ReadContentRequest(digest=digest),
                metadata=client.metadata, timeout=_PATIENCE, wait_for_ready=True,
            )  # fmt: skip
            return b"".join(answer.data for answer in answers)
        except grpc.RpcError as error:
            if error.code() not in _AWAY:
                raise
            client.cut += 1


def puller(reference: str) -> Callable[[Client, random.Random, int], None]:
    """An image comes and goes; when it is there it is whole."""
    platform = platform_pb2.Platform(os="linux", architecture="amd64")
    unpacks = [imagestore_pb2.UnpackConfiguration(platform=platform, snapshotter="overlayfs")]

    def work(client: Client, chance: random.Random, number: int) -> None:
        request = transfer_pb2.TransferRequest(
            source=typeurl.pack(registry_pb2.OCIRegistry(reference=reference)),
            destination=typeurl.pack(imagestore_pb2.ImageStore(name=reference, unpacks=unpacks)),
        )
        client.ask(client.transfer.Transfer, request, _THERE)
        image = client.ask(client.images.Get, images_pb2.GetImageRequest(name=reference)).image
        manifest = _read(client, image.target.digest)
        assert hashlib.sha256(manifest).hexdigest() == image.target.digest.partition(":")[2]
        delete = images_pb2.DeleteImageRequest(name=reference, sync=chance.random() < 0.5)
        client.ask(client.images.Delete, delete, _GONE)

    return work


def counter(image: str) -> Callable[[Client, random.Random, int], None]:
    """A label that counts: what was answered is never forgotten again."""
    told = [0]

    def work(client: Client, chance: random.Random, number: int) -> None:
        found = client.ask(client.images.Get, images_pb2.GetImageRequest(name=image)).image
        value = int(found.labels.get("count", "0"))
        # One more may have been written and not answered.
        assert value in {told[0], told[0] + 1}, (value, told)
        update = images_pb2.UpdateImageRequest(
            image=images_pb2.Image(name=image, labels={"count": str(value + 1)})
        )
        update.update_mask.paths.append("labels.count")
        client.ask(client.images.Update, update)
        told[0] = value + 1
        time.sleep(0.01)

    return work
