"""A sandbox in our shim under the real containerd 2.2, built from its public module by `make test-containerd2`.

That version refuses to publish its own events of sandboxes (their topics lack a slash), and says so when everything else is done.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.integration.containerd_shim.conftest import settle, shims_below
from tests.runtime.conftest import default_config
from tests.support.containerd import OURS
from tests.support.stack import BIN, CLONE, wait_until

from wire import typeurl
from wire.gen.containerd.services.sandbox.v1 import sandbox_pb2 as pb
from wire.gen.containerd.services.sandbox.v1 import sandbox_pb2_grpc
from wire.gen.containerd.types import sandbox_pb2

pytestmark = [pytest.mark.root, pytest.mark.slow]
PROGRAM = CLONE / "build/tools/usr/bin/containerd2"
HERE = (("containerd-namespace", "default"),)
_WITHOUT = [
    "io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri",
    "io.containerd.nri.v1.nri", "io.containerd.podsandbox.controller.v1.podsandbox",
]  # fmt: skip


@dataclass
class Daemon:
    """The original below a directory."""

    root: Path
    process: subprocess.Popen[bytes] | None = None
    channel: Any = None
    log: Any = field(default=None)

    def start(self) -> None:
        config = self.root / "config.toml"
        config.write_text(
            f'version = 3\nroot = "{self.root}/data"\nstate = "{self.root}/state"\n'
            f'disabled_plugins = {_WITHOUT}\n[grpc]\naddress = "{self.root}/c.sock"\n'
        )
        environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "DOCKYARD_SOCKET_ROOT": str(self.root),
        }
        with open(self.root / "log", "ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, "-c", config], env=environment, stdout=log, stderr=log
            )
        self.channel = grpc.insecure_channel(f"unix:{self.root}/c.sock")
        grpc.channel_ready_future(self.channel).result(30)

    def end(self) -> None:
        if self.channel is not None:
            self.channel.close()
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def call(self, method: str, **fields: Any) -> Any:
        """A call of the controller; its own complaint about an event's topic is passed over."""
        request = getattr(pb, f"Controller{method}Request")
        stub = getattr(sandbox_pb2_grpc.ControllerStub(self.channel), method)
        try:
            return stub(
                request(sandbox_id="pod", sandboxer="shim", **fields), metadata=HERE, timeout=30
            )
        except grpc.RpcError as error:
            if "envelope topic" not in (error.details() or ""):
                raise
            return None


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    if os.geteuid() != 0 or not PROGRAM.exists() or not BIN.exists():
        pytest.skip("needs root, a built stack and containerd 2.2: make test-containerd2")
    found = Daemon(Path(tempfile.mkdtemp(prefix="dockyard-containerd2-")))
    try:
        found.start()
        yield found
        wait_until(lambda: shims_below(found.root) == [])
    finally:
        found.end()
        for pid in shims_below(found.root):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)
        shutil.rmtree(found.root, ignore_errors=True)


async def test_a_sandbox_survives_the_daemon(daemon: Daemon, rootfs: Path) -> None:
    config = default_config(rootfs, "/dockyard-shim-tests/pod")
    config["process"]["args"] = ["sleep", "1000"]
    sandbox = sandbox_pb2.Sandbox(
        sandbox_id="pod",
        runtime={"name": OURS},
        sandboxer="shim",
        spec=typeurl.pack_json(typeurl.SPEC_URL, config),
    )
    store = sandbox_pb2_grpc.StoreStub(daemon.channel)
    store.Create(pb.StoreCreateRequest(sandbox=sandbox), metadata=HERE)
    daemon.call("Create", sandbox=sandbox)
    assert daemon.call("Status").state == "SANDBOX_NOTREADY"
    daemon.call("Start")
    status = daemon.call("Status", verbose=True)
    assert (status.state, "bundle" in status.info) == ("SANDBOX_READY", True)
    command = Path(f"/proc/{status.pid}/cmdline")
    await settle(lambda: command.read_bytes() == b"sleep\x001000\x00")
    assert daemon.call("Metrics").metrics.data.value
    daemon.end()
    daemon.start()
    again = daemon.call("Status")
    assert (again.state, again.pid) == ("SANDBOX_READY", status.pid)
    daemon.call("Stop")
    daemon.call("Wait")
    assert daemon.call("Status").state == "SANDBOX_NOTREADY"
    daemon.call("Shutdown")
    assert not Path(f"/proc/{status.pid}").exists()
    assert list(daemon.root.glob("state/io.containerd.sandbox.controller.v1.shim/*/*")) == []
