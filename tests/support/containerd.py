"""Our containerd alone, without a stack around it, for the tests that are its clients."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import threading
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from tests.support.stack import BIN, CLONE, Done

from wire.gen.containerd.services.containers.v1 import containers_pb2, containers_pb2_grpc
from wire.gen.containerd.services.content.v1 import content_pb2, content_pb2_grpc
from wire.gen.containerd.services.images.v1 import images_pb2, images_pb2_grpc
from wire.gen.containerd.services.leases.v1 import leases_pb2, leases_pb2_grpc
from wire.gen.containerd.services.namespaces.v1 import namespace_pb2, namespace_pb2_grpc
from wire.gen.containerd.services.tasks.v1 import tasks_pb2, tasks_pb2_grpc
from wire.grpc_adapter import CHANNEL_OPTIONS

OURS = "io.containerd.dockyard.v1"
RUNC = "io.containerd.runc.v2"
_PATIENCE = 30.0


@dataclass
class Containerd:
    """One daemon below a directory; `start` and `kill` may alternate."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    program: tuple[str | Path, ...] = (BIN / "containerd",)
    process: subprocess.Popen[bytes] | None = None
    _channel: grpc.Channel | None = None

    @property
    def address(self) -> Path:
        return self.root / "c.sock"

    @property
    def mark(self) -> str:
        """Part of the ids of its containers: those are the machine's, and may not end as a temporary folder's name may."""
        return f"{zlib.crc32(str(self.root).encode()):08x}"

    def start(self) -> None:
        """Start it, and wait until it says that it serves."""
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / "notify"
        path.unlink(missing_ok=True)
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
            open(self.root / "log", "ab") as log,
        ):
            notify.bind(str(path))
            self.process = subprocess.Popen(
                [
                    *self.program,
                    *("--root", self.root / "data", "--state", self.root / "state"),
                    *("--address", self.address, "-l", "debug", *self.flags),
                ],
                env={**os.environ, **self.environment, "NOTIFY_SOCKET": str(path)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=CLONE,
            )
            ended = os.pidfd_open(self.process.pid)
            try:
                told, _, _ = select.select([notify, ended], [], [], _PATIENCE)
            finally:
                os.close(ended)
            said = notify.recv(100) if notify in told else b""
            assert said == b"READY=1", (self.root / "log").read_text()

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
            self.process = None

    def kill(self) -> None:
        """`kill -9`, and start again."""
        self.end(signal.SIGKILL)
        self.start()

    # -- clients

    @property
    def channel(self) -> grpc.Channel:
        if self._channel is None:
            # Not the product's pauses between attempts, which are also its patience with a busy machine.
            options = [each for each in CHANNEL_OPTIONS if "backoff" not in each[0]]
            self._channel = grpc.insecure_channel(f"unix:{self.address}", options=options)
        return self._channel

    def call(self, *words: str | Path, stdin: bytes | None = None, timeout: float = 40) -> Done:
        """One ctr command, whatever its exit status; it is killed if the daemon dies, which it would wait for."""
        client = subprocess.Popen(
            ["ctr", "--address", self.address, *words],
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.root,
        )
        watcher = threading.Thread(target=self._end_with_daemon, args=(client,), daemon=True)
        watcher.start()
        try:
            out, err = client.communicate(stdin, timeout)
        finally:
            client.kill()
        return Done(client.returncode, out.decode(errors="replace"), err.decode())

    def _end_with_daemon(self, client: subprocess.Popen[bytes]) -> None:
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            daemon, command = os.pidfd_open(self.process.pid), os.pidfd_open(client.pid)
            try:
                if daemon in select.select([daemon, command], [], [])[0]:
                    client.kill()
            finally:
                os.close(daemon)
                os.close(command)

    def ctr(self, *words: str | Path, **options: Any) -> str:
        """One ctr command that must succeed; its output without the last newline."""
        done = self.call(*words, **options)
        assert done.code == 0, (words, done)
        return done.out.rstrip("\n")

    def fails(self, *words: str | Path, **options: Any) -> str:
        """One ctr command that must fail; its standard error."""
        done = self.call(*words, **options)
        assert done.code != 0, (words, done)
        return done.err

    def popen(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """A ctr command that goes on."""
        return subprocess.Popen(
            ["ctr", "--address", self.address, *words], cwd=self.root, **options
        )

    def collect(self) -> None:
        """Have garbage collected now: the end of a lease can ask for it."""
        leases = leases_pb2_grpc.LeasesStub(self.channel)
        where = (("containerd-namespace", "default"),)
        leases.Create(leases_pb2.CreateRequest(id="collect"), metadata=where)
        leases.Delete(leases_pb2.DeleteRequest(id="collect", sync=True), metadata=where)

    def empty_leases(self) -> None:
        """End the leases of the default namespace."""
        stub = leases_pb2_grpc.LeasesStub(self.channel)
        where = (("containerd-namespace", "default"),)
        for lease in stub.List(leases_pb2.ListRequest(), metadata=where).leases:
            stub.Delete(leases_pb2.DeleteRequest(id=lease.id), metadata=where)

    def empty(self) -> None:
        """Remove the containers, images and leases of all namespaces, and collect what they leave."""
        namespaces = namespace_pb2_grpc.NamespacesStub(self.channel)
        for each in namespaces.List(namespace_pb2.ListNamespacesRequest()).namespaces:
            where = (("containerd-namespace", each.name),)
            tasks = tasks_pb2_grpc.TasksStub(self.channel)
            containers = containers_pb2_grpc.ContainersStub(self.channel)
            images = images_pb2_grpc.ImagesStub(self.channel)
            for task in tasks.List(tasks_pb2.ListTasksRequest(), metadata=where).tasks:
                with contextlib.suppress(grpc.RpcError):
                    kill = tasks_pb2.KillRequest(container_id=task.id, signal=9, all=True)
                    tasks.Kill(kill, metadata=where)
                with contextlib.suppress(grpc.RpcError):
                    tasks.Wait(tasks_pb2.WaitRequest(container_id=task.id), metadata=where)
                with contextlib.suppress(grpc.RpcError):
                    tasks.Delete(tasks_pb2.DeleteTaskRequest(container_id=task.id), metadata=where)
            for container in containers.List(
                containers_pb2.ListContainersRequest(), metadata=where
            ).containers:
                containers.Delete(
                    containers_pb2.DeleteContainerRequest(id=container.id), metadata=where
                )
            for image in images.List(images_pb2.ListImagesRequest(), metadata=where).images:
                images.Delete(images_pb2.DeleteImageRequest(name=image.name), metadata=where)
            content = content_pb2_grpc.ContentStub(self.channel)
            request = content_pb2.ListStatusesRequest()
            for status in content.ListStatuses(request, metadata=where).statuses:
                content.Abort(content_pb2.AbortRequest(ref=status.ref), metadata=where)
            leases = leases_pb2_grpc.LeasesStub(self.channel)
            for lease in leases.List(leases_pb2.ListRequest(), metadata=where).leases:
                leases.Delete(leases_pb2.DeleteRequest(id=lease.id), metadata=where)
        self.collect()

    # -- what it keeps

    def blobs(self) -> set[str]:
        """The digests of the files of the content store."""
        return {f"sha256:{path.name}" for path in (self.root / "data/content/blobs").glob("*/*")}

    def uploads(self) -> set[str]:
        """The files of unfinished content."""
        found = {path.name for path in (self.root / "data/content/ingest").iterdir()}
        return found | {path.name for path in (self.root / "data/content/trash").iterdir()}

    def directories(self) -> set[str]:
        """The directories of snapshots, and of what is left of them."""
        return {
            path.name
            for folder in ("snapshots", "trash", "fresh", "drafts")
            for path in (self.root / "data/overlayfs" / folder).iterdir()
        }


@contextlib.contextmanager
def running_containerd(
    root: Path,
    *,
    program: tuple[str | Path, ...] = (BIN / "containerd",),
    flags: tuple[str, ...] = (),
    **environment: str,
) -> Iterator[Containerd]:
    """A daemon below ``root``, and nothing of it in the end: no mount, no process, no socket."""
    containerd = Containerd(root, environment, flags, program)
    try:
        containerd.start()
        yield containerd
        containerd.empty()
    finally:
        containerd.end()
        left = _left(root)
        for bundle in left["bundles"]:
            _end_task(Path(bundle))
        for path in sorted(left["mounts"], reverse=True):
            subprocess.run(["umount", "-l", path], stderr=subprocess.DEVNULL, check=False)
        for pid in left["processes"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid.split()[0]), signal.SIGKILL)
        shutil.rmtree(root, ignore_errors=True)
    assert not any(left.values()), f"left behind: {left}"


def _end_task(bundle: Path) -> None:
    """What the daemon would have done: end a shim, which is known by its folder, and then the container."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "cwd").readlink() == bundle:
                os.kill(int(entry.name), signal.SIGKILL)
    subprocess.run(
        [
            BIN / "containerd-shim-dockyard-v1",
            *("-namespace", bundle.parent.name, "-id", bundle.name),
            *("-bundle", bundle, "delete"),
        ],
        cwd=bundle,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
        timeout=30,
    )


def _left(root: Path) -> dict[str, list[str]]:
    mounts = {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}
    processes = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if entry.name.isdigit() and str(root) in command:
                processes.append(f"{entry.name} {command}")
    bundles = root / "state/io.containerd.runtime.v2.task"
    return {
        "mounts": [path for path in mounts if path.startswith(f"{root}/")],
        "processes": processes,
        "bundles": [str(path) for path in bundles.glob("*/*")],
    }
