"""What other users of the host may reach of an engine's folders."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.stack import BIN, Stack

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


def test_cve_2021_21284_nobody_is_root_of_another_namespace_below_the_data_root(
    stack: Stack,
) -> None:
    """Docker let the root of remapped containers own the data root of its own, and write where the real root reads.

    Here nobody but root owns what the daemon believes, and remapping is refused by name until there is such a thing.
    """
    name = stack.docker("run", "-d", "-v", "kept:/data", "-u", "1000", "busybox", "sleep", "99")
    status, answer = stack.request(
        "POST", "/containers/create", {"Image": "busybox", "HostConfig": {"UsernsMode": "private"}}
    )
    assert status == 400, answer
    words = [BIN / "dockerd", "--userns-remap", "default", "--data-root", stack.root / "other"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "userns-remap" in done.stderr
    assert not (stack.root / "other").exists()
    data = stack.root / "docker"
    theirs = (data / "rootfs", data / "volumes/kept/_data", stack.root / "containerd")
    for path in (data, *data.rglob("*")):
        if not any(path.is_relative_to(each) for each in theirs):
            status_ = path.lstat()
            assert (status_.st_uid, status_.st_gid) == (0, 0), path
            # Nobody but root writes, except to sockets, which the group of Docker may have.
            assert path.is_symlink() or path.is_socket() or not status_.st_mode & 0o022, path
    stack.docker("rm", "-f", name)
    stack.docker("volume", "rm", "kept")
