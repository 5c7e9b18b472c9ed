"""BuildKit with our containerd as its worker, built from its public module by `make test-buildkit`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.integration.ctr.conftest import IMAGE
from tests.support.containerd import OURS, RUNC, Containerd, running_containerd
from tests.support.stack import BIN, CLONE, Done, wait_until

pytestmark = pytest.mark.slow
TOOLS = CLONE / "build/tools/usr/bin"
NAMESPACE = "buildkit"
DOCKERFILE = f"""
FROM {IMAGE} AS first
COPY hello /hello
RUN cat /hello > /copied && echo made > /made && ln -s /made /link && chmod 4755 /copied
FROM {IMAGE}
COPY --from=first /copied /made /
RUN --mount=type=cache,target=/cache echo one >> /cache/count && wc -l < /cache/count > /runs
RUN --mount=type=tmpfs,target=/scratch touch /scratch/x && rm /three
CMD ["cat", "/copied", "/made"]
"""


@dataclass
class BuildKit:
    """buildkitd and its client, on one containerd."""

    containerd: Containerd
    process: subprocess.Popen[bytes]
    context: Path

    @property
    def address(self) -> str:
        return f"unix://{self.containerd.root}/buildkit.sock"

    def call(self, *words: str | Path, timeout: float = 100) -> Done:
        done = subprocess.run(
            [TOOLS / "buildctl", "--addr", self.address, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def build(self, name: str) -> str:
        """Build what is in the context; what the client said meanwhile."""
        done = self.call(
            "build",
            *("--progress", "plain", "--frontend", "dockerfile.v0"),
            *("--local", f"context={self.context}", "--local", f"dockerfile={self.context}"),
            *("--opt", "image-resolve-mode=local"),
            *("--output", f"type=image,name={name},unpack=true"),
        )
        log = (self.containerd.root / "buildkit.log").read_text()[-3000:]
        assert done.code == 0, (done, log)
        return done.out + done.err


@pytest.fixture(params=[(OURS, "overlayfs"), (RUNC, "overlayfs"), (OURS, "native")], ids="-".join)
def buildkit(request: pytest.FixtureRequest, archive: Path, tmp_path: Path) -> Iterator[BuildKit]:
    if os.geteuid() != 0 or not (TOOLS / "buildkitd").exists() or not (BIN / "containerd").exists():
        pytest.skip("needs root, a built stack, and BuildKit: make test-buildkit")
    runtime, snapshotter = request.param
    if runtime == RUNC and shutil.which("containerd-shim-runc-v2") is None:
        pytest.skip("needs Debian's containerd-shim-runc-v2")
    (tmp_path / "hello").write_text("hi\n")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    root = Path(tempfile.mkdtemp(prefix="dockyard-ctr-"))
    config = tmp_path / "buildkitd.toml"
    config.write_text(f'[worker.containerd.runtime]\nname = "{runtime}"\n')
    with running_containerd(root) as daemon, open(root / "buildkit.log", "wb") as log:
        daemon.ctr("-n", NAMESPACE, "images", "import", "--snapshotter", snapshotter, archive)
        process = subprocess.Popen(
            [
                *(TOOLS / "buildkitd", "--config", config, "--root", root / "buildkit"),
                *("--addr", f"unix://{root}/buildkit.sock", "--oci-worker=false"),
                *("--containerd-worker=true", "--containerd-worker-addr", daemon.address),
                *("--containerd-worker-net", "host"),
                *("--containerd-worker-snapshotter", snapshotter),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        found = BuildKit(daemon, process, tmp_path)
        try:
            wait_until(lambda: found.call("debug", "workers").code == 0)
            yield found
            # Nothing of it is left when its cache is emptied.
            assert found.call("prune", "--all").code == 0
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for space in (NAMESPACE, f"{NAMESPACE}_history"):
            for line in daemon.ctr("-n", space, "leases", "ls", "-q").split():
                daemon.ctr("-n", space, "leases", "rm", line)


def test_a_build_and_what_it_makes(buildkit: BuildKit) -> None:
    daemon = buildkit.containerd
    out = buildkit.build("docker.io/library/built:1")
    assert "CACHED" not in out
    # The client's own runtime and snapshotter are not those of the test: the image is what counts.
    script = "cat /copied /made /runs; ls /three; stat -c %a /copied"
    run = ("-n", NAMESPACE, "run", "--rm", "--runtime", OURS, "docker.io/library/built:1", "x")
    done = daemon.call(*run, "sh", "-c", script)
    assert done.out.split() == ["hi", "made", "1", "4755"], done
    # A daemon that was killed meanwhile has lost nothing of the cache.
    daemon.kill()
    wait_until(lambda: buildkit.call("debug", "workers").code == 0)
    out = buildkit.build("docker.io/library/built:2")
    assert out.count("CACHED") >= 4, out
    # What has changed is made again, and the rest is not.
    (buildkit.context / "hello").write_text("ho\n")
    out = buildkit.build("docker.io/library/built:3")
    done = daemon.call(*run[:-2], "docker.io/library/built:3", "y", "cat", "/copied")
    assert done.out == "ho\n", done
    assert daemon.ctr("-n", NAMESPACE, "tasks", "ls", "-q") == ""


def test_a_step_that_fails_is_told_and_leaves_no_task(buildkit: BuildKit) -> None:
    (buildkit.context / "Dockerfile").write_text(f"FROM {IMAGE}\nRUN echo before; exit 7\n")
    done = buildkit.call(
        "build",
        *("--progress", "plain", "--frontend", "dockerfile.v0"),
        *("--local", f"context={buildkit.context}", "--local", f"dockerfile={buildkit.context}"),
        *("--opt", "image-resolve-mode=local"),
    )
    assert done.code == 1
    assert "exit code: 7" in done.err
    assert "before" in done.out + done.err
    assert buildkit.containerd.ctr("-n", NAMESPACE, "tasks", "ls", "-q") == ""
