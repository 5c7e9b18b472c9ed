"""A daemon with a config.toml."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import grpc
import pytest
from tests.support.containerd import running_containerd
from tests.support.stack import BIN

from wire.gen.containerd.services.leases.v1 import leases_pb2, leases_pb2_grpc
from wire.gen.containerd.services.sandbox.v1 import sandbox_pb2, sandbox_pb2_grpc


@pytest.mark.skipif(os.geteuid() != 0 or not (BIN / "containerd").exists(), reason="needs root")
def test_a_file_is_obeyed() -> None:
    root = Path(tempfile.mkdtemp(prefix="dockyard-ctr-"))
    file = root / "config.toml"
    file.write_text(f"""
version = 2
root = "/never"
[grpc]
gid = 7
max_recv_message_size = 5000
[ttrpc]
address = "{root}/events.sock"
gid = 8
[plugins."io.containerd.snapshotter.v1.overlayfs"]
root_path = "{root}/layers"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "pause"
""")
    try:
        with running_containerd(root, flags=("-c", str(file))) as daemon:
            assert (daemon.address.stat().st_gid, daemon.address.stat().st_mode & 0o777) == (
                7,
                0o660,
            )
            assert (root / "events.sock").stat().st_gid == 8
            assert (root / "layers/snapshots").is_dir()
            leases = leases_pb2_grpc.LeasesStub(daemon.channel)
            request = leases_pb2.CreateRequest(id="x", labels={"a": 3900 * "b", "c": 2000 * "d"})
            with pytest.raises(grpc.RpcError) as raised:
                leases.Create(request, metadata=(("containerd-namespace", "default"),))
            assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            log = (root / "log").read_text()
            assert "plugins.io.containerd.grpc.v1.cri.sandbox_image" in log
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0 or not (BIN / "containerd").exists(), reason="needs root")
def test_plugins_that_are_switched_off() -> None:
    root = Path(tempfile.mkdtemp(prefix="dockyard-ctr-"))
    file = root / "config.toml"
    names = ("io.containerd.grpc.v1.sandboxes", "io.containerd.snapshotter.v1.native")
    file.write_text(f"version = 2\ndisabled_plugins = {list(names)}\n")
    try:
        with running_containerd(root, flags=("-c", str(file))) as daemon:
            listed = daemon.ctr("plugins", "ls").split()
            assert "sandboxes" not in listed
            assert "native" not in listed
            assert "overlayfs" in listed
            error = daemon.fails("snapshots", "--snapshotter", "native", "ls")
            assert "snapshotter not loaded: native" in error
            store = sandbox_pb2_grpc.StoreStub(daemon.channel)
            with pytest.raises(grpc.RpcError) as raised:
                store.List(sandbox_pb2.StoreListRequest())
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
            wanted = "unknown service containerd.services.sandbox.v1.Store"
            assert raised.value.details() == wanted
    finally:
        shutil.rmtree(root, ignore_errors=True)
