"""The original programs, from Debian's packages: installed, or unpacked into build/tools by `make test-deps`."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support.stack import BIN, CLONE, Done, wait_until

_TOOLS = CLONE / "build/tools/usr"
_FOLDERS = ("/usr/sbin", "/usr/bin", str(_TOOLS / "sbin"), str(_TOOLS / "bin"))
CONFIG = """version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.devmapper"]
"""


def original(name: str) -> str:
    """The path of a program of Debian's, never one of ours; skips the test if there is none."""
    found = shutil.which(name, path=":".join(_FOLDERS))
    if found is None:
        pytest.skip(f"needs Debian's {name}: make test-deps")
    return found


@dataclass
class Surroundings:
    """A folder, and a network and a mount namespace with a /run of its own, for daemons that would touch the host's."""

    root: Path
    holder: int
    daemons: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def prefix(self) -> tuple[str, ...]:
        """What runs a command inside."""
        return ("nsenter", "-t", str(self.holder), "-n", "-m")

    def start(self, name: str, *words: str | Path, **environment: str) -> None:
        """Start a daemon inside; its output goes to ROOT/NAME.log."""
        given = {"PATH": _path(), **environment}
        with open(self.root / f"{name}.log", "ab") as log:
            self.daemons[name] = subprocess.Popen(
                [*self.prefix, "env", *(f"{key}={value}" for key, value in given.items()), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=CLONE,
            )

    def end(self, name: str, number: int = signal.SIGTERM) -> None:
        """End a daemon by a signal, and wait for its end."""
        daemon = self.daemons.pop(name)
        daemon.send_signal(number)
        daemon.wait(40)

    def call(self, *words: str | Path, stdin: bytes | None = None, timeout: float = 60) -> Done:
        """One command inside, whatever its exit status."""
        done = subprocess.run(
            [*self.prefix, *words],
            env={**os.environ, "PATH": _path()},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
        )
        return Done(
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )

    def answers(self, name: str, *words: str | Path) -> None:
        """Wait until a client's command succeeds; the daemon must live."""

        def answered() -> bool:
            assert self.daemons[name].poll() is None, self.log(name)
            return self.call(*words).code == 0

        wait_until(answered, timeout=40, what=f"{name}: {self.log(name)}")

    def log(self, name: str) -> str:
        """What a daemon has said, its last part."""
        return (self.root / f"{name}.log").read_text(errors="replace")[-6000:]

    def processes(self) -> dict[int, str]:
        """Who else lives in these namespaces, or names the folder."""
        namespace = os.readlink(f"/proc/{self.holder}/ns/mnt")
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if not entry.name.isdigit() or int(entry.name) in {self.holder, os.getpid()}:
                    continue
                command = (
                    (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
                if os.readlink(entry / "ns/mnt") == namespace or str(self.root) in command:
                    found[int(entry.name)] = command
        return found


def _path() -> str:
    # Ours first: a containerd looks for shims there; the originals' names are not among ours but dockerd and containerd.
    return ":".join((str(BIN), os.environ["PATH"], *_FOLDERS))


@contextlib.contextmanager
def surroundings(name: str) -> Iterator[Surroundings]:
    """Empty surroundings; in the end nothing may live in them, and no cgroup of a container may be left."""
    if os.geteuid() != 0 or not (BIN / "dockerd").exists():
        pytest.skip("needs root and a built stack")
    root = Path(tempfile.mkdtemp(prefix=f"dockyard-{name}-"))
    script = "ip link set lo up && mount -t tmpfs -o mode=755 none /run && echo ready && read x"
    holder = subprocess.Popen(
        ["unshare", "--net", "--mount", "sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    before = _cgroups()
    inside = Surroundings(root, holder.pid)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        yield inside
        for each in reversed(list(inside.daemons)):
            inside.end(each)
        wait_until(lambda: not inside.processes(), what="the end of all processes", timeout=15)
        _assert_gone(_cgroups() - before)
    finally:
        for pid in inside.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for daemon in inside.daemons.values():
            daemon.wait(10)
        inside.call(
            "sh", "-c", f"grep -o ' {root}/[^ ]*' /proc/self/mountinfo | xargs -r umount -l"
        )
        holder.communicate(b"\n", timeout=10)
        shutil.rmtree(root, ignore_errors=True)


def _assert_gone(suspects: set[str]) -> None:
    """Other engines of the machine make groups, too: theirs have processes, or are empty for a moment only."""

    def left() -> set[str]:
        suspects.intersection_update(filter(_is_empty, suspects.copy()))
        return suspects

    wait_until(lambda: not left(), what=f"the end of cgroups without processes: {suspects}")


def _is_empty(path: str) -> bool:
    try:
        return (Path(path) / "cgroup.procs").exists() and not any(
            each.read_text() for each in Path(path).rglob("cgroup.procs")
        )
    except OSError:
        # Removed meanwhile.
        return False


def _cgroups() -> set[str]:
    """Groups of containers, by their 64 digits."""
    root = Path("/sys/fs/cgroup")
    return {
        str(path)
        for pattern in ("docker/*", "*/docker/*", "moby/*", "*/moby/*")
        for path in root.glob(pattern)
        if path.is_dir() and len(path.name) == 64
    }
