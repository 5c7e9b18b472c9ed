"""A shim of ours, started by the standard command, and its events: what any containerd sees of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from tests.runtime.conftest import default_config
from tests.support.images import busybox_layer
from tests.support.stack import BIN

from wire import namespaces, typeurl
from wire.gen.shim.events.v1 import events_pb2
from wire.gen.shim.task.v2 import shim_pb2
from wire.ttrpc.client import Client
from wire.ttrpc.server import Method, Server

SHIM = BIN / "containerd-shim-dockyard-v1"
SERVICE = "containerd.task.v2.Task"
NAMESPACE = "tests"


@dataclass
class Told:
    """What a shim publishes, in its order."""

    events: list[tuple[str, Message]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def forward(self, request: Any) -> Empty:
        self.events.append((request.envelope.topic, typeurl.unpack(request.envelope.event)))
        self.changed.set()
        return Empty()

    @property
    def topics(self) -> list[str]:
        return [topic.removeprefix("/tasks/") for topic, _ in self.events]

    async def until(self, topic: str, count: int = 1) -> Any:
        """Wait for the ``count``-th event of a topic; the event."""
        async with asyncio.timeout(20):
            while self.topics.count(topic) < count:
                self.changed.clear()
                await self.changed.wait()
        return [event for name, event in self.events if name == f"/tasks/{topic}"][count - 1]


@dataclass
class Bundle:
    """One container's bundle, its shim and a connection to that."""

    container_id: str
    path: Path
    config: dict[str, Any]
    world: World
    client: Client | None = None
    version: str = SERVICE

    def start(self, stdin: bytes = b"") -> str:
        """Run the `start` command, as containerd does; its output."""
        (self.path / "config.json").write_text(json.dumps(self.config))
        done = subprocess.run(
            [SHIM, *self.flags, "start"], cwd=self.path, input=stdin, capture_output=True,
            env={**os.environ, **self.world.environment}, timeout=20,
        )  # fmt: skip
        assert done.returncode == 0, done
        self.world.bundles.append(self)
        return done.stdout.decode(errors="replace")

    @property
    def flags(self) -> list[str]:
        return [
            *("-namespace", NAMESPACE, "-id", self.container_id),
            *("-address", str(self.world.root / "c.sock"), "-publish-binary", "/bin/false"),
        ]

    async def connect(self, address: str | None = None) -> None:
        address = address or (self.path / "address").read_text()
        self.client = await Client.connect(address.strip().removeprefix("unix://"))

    async def call(self, method: str, **fields: Any) -> Any:
        """One call to the shim, by the method's name and its request's fields."""
        assert self.client is not None
        name = {
            "Exec": "ExecProcess",
            "Update": "UpdateTask",
            "Create": "CreateTask",
            "Checkpoint": "CheckpointTask",
        }
        request = getattr(shim_pb2, f"{name.get(method, method)}Request")(
            **{"id": self.container_id, **fields}
        )
        answer = f"{name.get(method, method)}Response"
        reply = getattr(shim_pb2, answer, Empty)
        with namespaces.bind(NAMESPACE):
            return await self.client.call(self.version, method, request, reply, timeout=30)

    async def create(self, *args: str, **fields: Any) -> int:
        """Start the shim and create the container; its pid."""
        self.config["process"]["args"] = list(args)
        address = self.start()
        await self.connect(address)
        response = await self.call("Create", bundle=str(self.path), **fields)
        return int(response.pid)

    async def run(self, *args: str, **fields: Any) -> int:
        """Create and start."""
        pid = await self.create(*args, **fields)
        await self.call("Start")
        return pid

    async def exec(self, exec_id: str, *args: str, **fields: Any) -> int:
        """Add and start a process."""
        process = {**self.config["process"], "args": list(args)}
        spec = typeurl.pack_json(typeurl.PROCESS_URL, process)
        await self.call("Exec", exec_id=exec_id, spec=spec, **fields)
        return int((await self.call("Start", exec_id=exec_id)).pid)

    async def end(self) -> None:
        """Kill, delete and shut down, whatever of it is still there."""
        for method, fields in (
            ("Kill", {"signal": 9}),
            ("Wait", {}),
            ("Delete", {}),
            ("Shutdown", {}),
        ):
            with contextlib.suppress(Exception):
                await self.call(method, **fields)

    @property
    def shim_pid(self) -> int:
        return int((self.path / "shim.pid").read_text())


@dataclass
class World:
    """What a containerd would be: a socket for events, a folder for sockets, bundles."""

    root: Path
    told: Told
    environment: dict[str, str]
    rootfs: Path
    bundles: list[Bundle] = field(default_factory=list)

    def bundle(self, **annotations: str) -> Bundle:
        container_id = f"shim-{uuid.uuid4().hex[:12]}"
        path = self.root / "bundles" / container_id
        path.mkdir(parents=True)
        config = default_config(self.rootfs, f"/dockyard-shim-tests/{container_id}")
        config["annotations"] = annotations
        return Bundle(container_id, path, config, self)


@pytest.fixture(scope="session")
def rootfs() -> Any:
    folder = Path(tempfile.mkdtemp(prefix="dockyard-shim-rootfs-"))
    subprocess.run(["tar", "-x", "-C", folder], input=busybox_layer(), check=True)
    for name in ("proc", "sys", "dev"):
        (folder / name).mkdir()
    yield folder
    shutil.rmtree(folder)


@pytest_asyncio.fixture
async def world(rootfs: Path) -> AsyncIterator[World]:
    if os.geteuid() != 0 or not SHIM.exists():
        pytest.skip("needs root and built programs")
    root = Path(tempfile.mkdtemp(prefix="dockyard-shim-"))
    told = Told()
    service = "containerd.services.events.ttrpc.v1.Events"
    server = Server({(service, "Forward"): Method(events_pb2.ForwardRequest, told.forward)})
    await server.start(str(root / "c.sock.ttrpc"))
    environment = {
        "TTRPC_ADDRESS": str(root / "c.sock.ttrpc"),
        "DOCKYARD_SOCKET_ROOT": str(root),
    }
    found = World(root, told, environment, rootfs)
    try:
        yield found
        for bundle in found.bundles:
            await bundle.end()
        await settle(lambda: not shims_below(root))
        assert shims_below(root) == []
        assert list(root.glob("s/*")) == []
        names = {bundle.container_id for bundle in found.bundles}
        groups = Path("/sys/fs/cgroup").glob("*/dockyard-shim-tests/*")
        assert [path for path in groups if path.name in names] == []
    finally:
        await server.close()
        for pid in shims_below(root):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(root)


def shims_below(root: Path) -> list[int]:
    """Shims that work in a bundle below ``root``."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if (
                entry.name.isdigit()
                and b"containerd-shim-dockyard-v1" in (entry / "cmdline").read_bytes()
            ) and Path(os.readlink(entry / "cwd").removesuffix(" (deleted)")).is_relative_to(root):
                found.append(int(entry.name))
    return found


async def settle(check: Callable[[], Any], timeout: float = 20) -> Any:
    """Wait for a state of other processes that tell nobody of a change."""
    async with asyncio.timeout(timeout):
        while not (found := check()):
            await asyncio.sleep(0.02)
    return found


def runc_options(**fields: Any) -> AnyMessage:
    from wire.gen.containerd.types.runc.options import oci_pb2

    return typeurl.pack(oci_pb2.Options(**fields))
