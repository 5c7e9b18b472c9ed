"""What other users of the host may reach of an engine's folders."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.stack import Stack

_NOBODY = 65534


def reached(path: Path) -> bool:
    """Whether a user without rights sees what a path leads to."""
    words = ["ls", "-d", str(path)]
    done = subprocess.run(words, user=_NOBODY, group=_NOBODY, extra_groups=[], capture_output=True)
    return done.returncode == 0


def test_cve_2021_41091_files_of_containers_and_volumes_are_out_of_reach(stack: Stack) -> None:
    name = stack.docker("run", "-d", "-v", "kept:/data", "busybox", "sleep", "99")
    data = stack.root / "docker"
    mode = stack.root.stat().st_mode
    stack.root.chmod(0o755)
    try:
        assert reached(data)
        merged = stack.inspect(name)["GraphDriver"]["Data"]["MergedDir"]
        for each in ("volumes/kept/_data", "rootfs", f"containers/{name}", merged):
            assert (data / each).exists(), each
            assert not reached(data / each), each
        assert not reached(stack.root / "containerd/overlayfs/snapshots")
    finally:
        stack.root.chmod(mode)
    stack.docker("rm", "-f", name)
    stack.docker("volume", "rm", "kept")
