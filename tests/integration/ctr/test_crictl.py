"""crictl, built from its public module by `make test-crictl`: a daemon without CRI refuses it in the original's words."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support.containerd import Containerd
from tests.support.stack import CLONE, Done

pytestmark = pytest.mark.slow
CRICTL = shutil.which("crictl") or CLONE / "build/tools/usr/bin/crictl"


def call(containerd: Containerd, folder: Path, *words: str) -> Done:
    config = folder / "crictl.yaml"
    config.write_text(
        f"runtime-endpoint: unix://{containerd.address}\n"
        f"image-endpoint: unix://{containerd.address}\ntimeout: 10\n"
    )
    done = subprocess.run(
        [CRICTL, "--config", config, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("words", "service"),
    [
        (("version",), "RuntimeService"),
        (("info",), "RuntimeService"),
        (("pods",), "RuntimeService"),
        (("images",), "ImageService"),
        (("pull", "busybox"), "ImageService"),
    ],
)
def test_it_is_told_that_there_is_no_cri(
    containerd: Containerd, tmp_path: Path, words: tuple[str, ...], service: str
) -> None:
    if not Path(CRICTL).exists():
        pytest.skip("needs `make test-crictl`, which builds it")
    done = call(containerd, tmp_path, *words)
    assert (done.code, done.out) == (1, "")
    assert "code = Unimplemented" in done.err
    assert f"unknown service runtime.v1.{service}" in done.err
    # It does no harm to anybody else.
    assert containerd.ctr("version")
