"""The ctr of containerd 2, built from its public module by `make test-ctr2`: what Debian's 1.6 does not know."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.integration.ctr.test_sandbox_controller import rootfs
from tests.runtime.conftest import default_config
from tests.support.containerd import OURS, Containerd
from tests.support.registry import Registry
from tests.support.stack import CLONE, Done, wait_until

pytestmark = pytest.mark.slow
CTR = shutil.which("ctr2") or CLONE / "build/tools/usr/bin/ctr2"
__all__ = ["rootfs"]


@pytest.fixture(autouse=True)
def _built() -> None:
    if not Path(CTR).exists():
        pytest.skip("needs `make test-ctr2`, which builds it")


def call(containerd: Containerd, *words: str | Path, timeout: float = 60) -> Done:
    done = subprocess.run(
        [CTR, "--address", containerd.address, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=containerd.root,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def ctr(containerd: Containerd, *words: str | Path) -> str:
    done = call(containerd, *words)
    assert done.code == 0, (words, done)
    return done.out.rstrip("\n")


def test_sandboxes(containerd: Containerd, rootfs: Path, tmp_path: Path) -> None:
    config = default_config(rootfs, "/dockyard-sandbox-tests/two")
    config["process"]["args"] = ["sleep", "1000"]
    (tmp_path / "pod.json").write_text(json.dumps(config))
    run = ("sandboxes", "run", "--runtime", OURS, tmp_path / "pod.json")
    assert ctr(containerd, *run, "two") == "two"
    assert "two" in ctr(containerd, "sandboxes", "ls")
    assert json.loads(ctr(containerd, "sandboxes", "info", "two"))["Sandboxer"] == "shim"
    containerd.kill()
    again = call(containerd, *run, "two")
    assert (again.code, "already exists" in again.err) == (1, True)
    assert "deleted" in call(containerd, "sandboxes", "rm", "two").err
    assert "two" not in ctr(containerd, "sandboxes", "ls")
    assert list(containerd.root.glob("state/io.containerd.sandbox.controller.v1.shim/*/*")) == []


def test_pull_run_exec_and_the_rest(
    containerd: Containerd, registry: Registry, archive: Path
) -> None:
    image = registry.push(archive.read_bytes(), "two/busybox:latest")
    ctr(containerd, "images", "pull", "--plain-http", image)
    assert image in ctr(containerd, "images", "ls", "-q")
    run = ("run", "--runtime", OURS)
    assert ctr(containerd, *run, "--rm", image, "once", "echo", "hello") == "hello"
    ctr(containerd, *run, "-d", image, "box", "sleep", "1000")
    assert ctr(containerd, "tasks", "exec", "--exec-id", "x", "box", "echo", "there") == "there"
    assert "RUNNING" in ctr(containerd, "tasks", "ls")
    ctr(containerd, "tasks", "pause", "box")
    assert "PAUSED" in ctr(containerd, "tasks", "ls")
    ctr(containerd, "tasks", "resume", "box")
    assert "memory" in ctr(containerd, "tasks", "metrics", "box")
    ctr(containerd, "tasks", "kill", "--signal", "9", "box")
    wait_until(lambda: "STOPPED" in ctr(containerd, "tasks", "ls"))
    call(containerd, "tasks", "rm", "box")
    ctr(containerd, "containers", "rm", "box")
    # By the transfer service, which takes a name from whatever has it.
    for _ in range(2):
        assert ctr(containerd, "images", "tag", "--force", image, "example.com/two:1").endswith(
            "two:1"
        )
    assert "not found" in call(containerd, "images", "tag", "example.com/none:1", "x").err
    ctr(containerd, "images", "export", containerd.root / "out.tar", image)
    ctr(containerd, "images", "rm", "--sync", image)
    ctr(containerd, "images", "import", containerd.root / "out.tar")
    assert image in ctr(containerd, "images", "ls", "-q")


def test_plugins_and_version(containerd: Containerd) -> None:
    plugins = ctr(containerd, "plugins", "ls")
    assert "sandbox-controllers" in plugins
    assert "error" not in plugins
    assert "dockyard" in ctr(containerd, "version")
    assert ctr(containerd, "deprecations", "list") in ("", "ID    LAST OCCURRENCE    MESSAGE")
