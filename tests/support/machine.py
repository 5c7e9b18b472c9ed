"""A fresh Debian made by debootstrap, as a machine of its own: own files, mounts, processes and network, on our kernel.

The network matters: libnftables 1.0 (Debian 12) crashes on reading tables that 1.1 (Debian 13) made in the same namespace.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CLONE = Path(__file__).parents[2]
_CACHE = CLONE / "build/machines"
# What a person has who is about to clone the project.
_GIVEN = ("ca-certificates", "git", "make")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# How this machine reaches its package registries; a fresh one reaches them in the same way.
_SETTINGS = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/pip.conf",
    "/etc/ssl/certs/ca-certificates.crt",
    "/usr/local/share/ca-certificates",
    "/etc/apt/apt.conf.d/proxy.conf",
    "~/.config/pip/pip.conf",
    "~/.cargo/config.toml",
)
_PASSED = (
    "PIP_CERT",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_INDEX_URL",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
_BOOT = """
set -eu
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount --rbind /sys/fs/cgroup sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p run/lock run/old
pivot_root . run/old
# As systemd leaves it; what happens here is not seen outside.
mount --make-rprivate /
umount -l /run/old
rmdir /run/old
mount --make-rshared /
echo booted
exec /bin/bash -c 'trap "exit 0" TERM; while :; do sleep infinity & wait; done' >/dev/null 2>&1
"""


@dataclass
class Machine:
    """A booted machine; ``init`` is its first process as we see it."""

    root: Path
    init: int

    def run(
        self,
        command: str,
        *,
        cwd: str = "/root",
        check: bool = True,
        timeout: float = 1200,
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as root there."""
        words = ["nsenter", f"--target={self.init}", "--mount", "--pid", "--net", "--root", "--wd"]
        words += ["sh", "-c", 'cd "$0" && eval "$1"', cwd, command]
        passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
        given = {"HOME": "/root", "LANG": "C.UTF-8", "PATH": _PATH, **passed, **(environment or {})}
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=given,
            text=True,
            errors="replace",
            timeout=timeout,
        )
        assert not check or done.returncode == 0, (
            f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done


def machine_tools() -> bool:
    """Whether this machine has what it takes to make others."""
    return all(shutil.which(name) for name in ("debootstrap", "slirp4netns"))


def _base(suite: str) -> Path:
    """The archive of a minimal system, made once."""
    archive = _CACHE / f"{suite}.tar"
    if archive.exists():
        return archive
    _CACHE.mkdir(parents=True, exist_ok=True)
    folder = _CACHE / f"{suite}.{os.getpid()}"
    try:
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={','.join(_GIVEN)}", suite, folder],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        part = archive.with_suffix(f".{os.getpid()}.part")
        subprocess.run(["tar", "-C", folder, "-cf", part, "."], check=True)
        part.rename(archive)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return archive


def _take_over_settings(root: Path) -> None:
    for each in _SETTINGS:
        source = Path(each).expanduser()
        target = root / str(source).lstrip("/")
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            shutil.copy(source, target)


def make_base_image(suite: str, archive: Path) -> None:
    """Write a root file system for `docker import` that reaches the package registries as this machine does."""
    folder = archive.with_suffix(".d")
    try:
        folder.mkdir()
        subprocess.run(["tar", "-C", folder, "-xf", _base(suite)], check=True)
        _take_over_settings(folder)
        subprocess.run(["tar", "-C", folder, "-cf", archive, "."], check=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _connect(init: int) -> subprocess.Popen[bytes]:
    """Give the machine a way out by a program of ours, with nothing changed in our own network."""
    told, tell = os.pipe()
    with os.fdopen(told, "rb") as ready:
        network = subprocess.Popen(
            ["slirp4netns", "--configure", "--mtu=65520", f"--ready-fd={tell}", str(init), "tap0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(tell,),
        )
        os.close(tell)
        assert ready.read(1) == b"1", "slirp4netns did not configure the network"
    return network


@contextlib.contextmanager
def fresh_machine(suite: str, root: Path) -> Iterator[Machine]:
    """Boot a fresh ``suite`` whose file system is ``root``; its processes and mounts are gone afterwards, ``root`` is removed."""
    root.mkdir(parents=True)
    booting = network = None
    try:
        subprocess.run(["tar", "-C", root, "-xf", _base(suite)], check=True)
        _take_over_settings(root)
        booting = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child",
                "sh",
                "-c",
                _BOOT,
                "sh",
                root,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert booting.stdout is not None
        assert booting.stdout.readline() == "booted\n"
        (init,) = Path(f"/proc/{booting.pid}/task/{booting.pid}/children").read_text().split()
        network = _connect(int(init))
        yield Machine(root, int(init))
    finally:
        if network is not None:
            network.kill()
            network.wait()
        if booting is not None:
            # The kernel kills whatever still runs in the process namespace, and its mounts go with the last of them.
            booting.send_signal(signal.SIGKILL)
            booting.wait()
        subprocess.run(["rm", "-rf", "--one-file-system", root], check=False)
