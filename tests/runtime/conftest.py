"""OCI runtime tests: a busybox bundle, and the runtime's command line around it.

`RUNTIME=runc pytest tests/runtime` runs them on another runtime, which is how doubtful expectations were settled.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CLONE = Path(__file__).parents[2]
PROGRAM = os.environ.get("RUNTIME", str(CLONE / "build/bin/dockyard-runtime"))
BUSYBOX = shutil.which("busybox")
APPLETS = """sh cat ls id echo sleep true false env pwd stat mount grep head tail cut hostname touch mkdir mknod rm ln dd wc tr
 readlink umask kill test nproc ps chmod tee tty stty dirname sysctl sync seq find sort uname ionice nice taskset""".split()
CAPABILITIES = [
    f"CAP_{name}"
    for name in """CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT
    KILL AUDIT_WRITE""".split()
]
# Of this run alone: others may test on the same machine.
PARENT = f"dockyard-test-{os.getpid()}"
DEVICES = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1)]


def skip_without_needs(items: list[pytest.Item], folder: Path) -> None:
    """Mark the tests of a folder, and skip them where they cannot run: all of them make namespaces and mounts."""
    missing = None
    if os.geteuid() != 0:
        missing = "needs root"
    elif BUSYBOX is None:
        missing = "needs a static busybox"
    elif shutil.which(PROGRAM) is None:
        missing = f"{PROGRAM} is not built"
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.root)
            if missing:
                item.add_marker(pytest.mark.skip(reason=missing))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_without_needs(items, Path(__file__).parent)


def mount(kind: str, destination: str, *options: str, source: str | None = None) -> dict[str, Any]:
    """One entry of `mounts`."""
    return {
        "destination": destination,
        "type": kind,
        "source": source or kind,
        "options": list(options),
    }


def default_config(rootfs: Path, cgroup: str) -> dict[str, Any]:
    """What an engine asks for by default, without limits and seccomp."""
    return {
        "ociVersion": "1.2.0",
        "root": {"path": str(rootfs)},
        "hostname": "box",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "cwd": "/",
            "args": ["true"],
            "env": ["PATH=/bin"],
            "capabilities": {
                name: list(CAPABILITIES) for name in ("bounding", "effective", "permitted")
            },
        },
        "mounts": [
            mount("proc", "/proc", "nosuid", "noexec", "nodev"),
            mount("tmpfs", "/dev", "nosuid", "strictatime", "mode=755", "size=65536k"),
            mount(
                "devpts",
                "/dev/pts",
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ),
            mount("sysfs", "/sys", "nosuid", "noexec", "nodev", "ro"),
            mount("cgroup", "/sys/fs/cgroup", "nosuid", "noexec", "nodev", "ro"),
            mount("mqueue", "/dev/mqueue", "nosuid", "noexec", "nodev"),
            mount(
                "tmpfs",
                "/dev/shm",
                "nosuid",
                "noexec",
                "nodev",
                "mode=1777",
                "size=65536k",
                source="shm",
            ),
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [{"type": kind} for kind in ("mount", "pid", "network", "ipc", "uts")],
            "resources": {
                "devices": [{"allow": False, "access": "rwm"}]
                + [
                    {"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"}
                    for major, minor in DEVICES
                ]
            },
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
            "readonlyPaths": [
                "/proc/bus",
                "/proc/fs",
                "/proc/irq",
                "/proc/sys",
                "/proc/sysrq-trigger",
            ],
        },
    }


@dataclass
class Result:
    """How a command of the runtime ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass
class Box:
    """One container: its bundle, its configuration, and the commands on it."""

    directory: Path
    name: str
    config: dict[str, Any]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def bundle(self) -> Path:
        return self.directory / "bundle"

    @property
    def rootfs(self) -> Path:
        return self.bundle / "rootfs"

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @property
    def process(self) -> dict[str, Any]:
        process: dict[str, Any] = self.config["process"]
        return process

    @property
    def linux(self) -> dict[str, Any]:
        linux: dict[str, Any] = self.config["linux"]
        return linux

    @property
    def mounts(self) -> list[dict[str, Any]]:
        mounts: list[dict[str, Any]] = self.config["mounts"]
        return mounts

    def write(self) -> None:
        (self.bundle / "config.json").write_text(json.dumps(self.config))

    def argv(self, *words: str) -> list[str]:
        log = self.directory / "log.json"
        return [
            PROGRAM,
            "--root",
            str(self.root),
            "--log",
            str(log),
            "--log-format",
            "json",
            *words,
        ]

    def call(self, *words: str, stdin: bytes | None = None, **options: Any) -> Result:
        """One command, its output read to the end."""
        done = subprocess.run(
            self.argv(*words),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=30,
            **options,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *words: str, **options: Any) -> Result:
        result = self.call(*words, **options)
        assert result.code == 0, result
        return result

    def run(self, *args: str, **options: Any) -> Result:
        """`run` in the foreground."""
        if args:
            self.process["args"] = list(args)
        self.write()
        return self.call("run", "--bundle", str(self.bundle), self.name, **options)

    def sh(self, script: str, **options: Any) -> list[str]:
        """The output lines of a shell script that must succeed as the container's process."""
        result = self.run("sh", "-ec", script, **options)
        assert result.code == 0, result
        return result.lines

    def create(self, *args: str, words: tuple[str, ...] = (), **options: Any) -> None:
        """`create` with all output in bundle/out: a pipe would stay open with the container."""
        if args:
            self.process["args"] = list(args)
        self.write()
        with (self.directory / "out").open("wb") as out:
            argv = self.argv("create", "--bundle", str(self.bundle), *words, self.name)
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                timeout=30,
                check=False,
                **options,
            )
        assert done.returncode == 0, self.output()

    def start(self, *args: str, **options: Any) -> None:
        self.create(*args, **options)
        self.ok("start", self.name)

    def output(self) -> str:
        return (self.directory / "out").read_text()

    def exec(self, *args: str, words: tuple[str, ...] = (), **process: Any) -> Result:
        """`exec` with a process document like the container's own."""
        document = {**copy.deepcopy(self.process), "args": list(args), **process}
        path = self.directory / "process.json"
        path.write_text(json.dumps(document))
        return self.call("exec", "--process", str(path), *words, self.name)

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads(self.ok("state", self.name).out)
        return state

    @property
    def pid(self) -> int:
        pid: int = self.state()["pid"]
        return pid

    def wait(self, timeout: float = 10) -> None:
        """Until the container's process has ended; reaps it if it is ours (we are a subreaper)."""
        pid = self.pid
        if pid == 0:
            return
        import select

        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            assert select.select([descriptor], [], [], timeout)[0], (
                "the container's process does not end"
            )
        finally:
            os.close(descriptor)

    def kind(self) -> str:
        """`kind` of the last line of the log."""
        lines = (self.directory / "log.json").read_text().splitlines()
        kind: str = json.loads(lines[-1])["kind"]
        return kind

    def cgroup(self, controller: str) -> Path:
        """The container's directory for a controller."""
        unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
        base = Path("/sys/fs/cgroup") if unified else Path("/sys/fs/cgroup") / controller
        return base / self.linux["cgroupsPath"].lstrip("/")


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie that its parent has not reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A container's bundle; whatever became of it is deleted at the end."""
    name = f"rt-{uuid.uuid4().hex[:12]}"
    tmp_path.chmod(0o755)
    rootfs = tmp_path / "bundle" / "rootfs"
    make_rootfs(rootfs)
    made = Box(tmp_path, name, default_config(rootfs, f"/{PARENT}/{name}"))
    yield made
    made.call("delete", "--force", name)
    for process in made.started:
        process.send_signal(signal.SIGKILL)
        process.wait()


def make_rootfs(rootfs: Path) -> None:
    """A root file system of one busybox."""
    assert BUSYBOX is not None
    for folder in ("bin", "dev", "etc", "proc", "sys", "tmp", "root", "home"):
        (rootfs / folder).mkdir(parents=True)
    shutil.copy(BUSYBOX, rootfs / "bin/busybox")
    for applet in APPLETS:
        (rootfs / "bin" / applet).symlink_to("busybox")
    (rootfs / "etc/passwd").write_text(
        "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n"
    )
    (rootfs / "tmp").chmod(0o1777)


@pytest.fixture(scope="session", autouse=True)
def _test_cgroup() -> Iterator[None]:
    """Remove the parent cgroup of the tests' containers."""
    yield
    for parent in Path("/sys/fs/cgroup").glob(f"*/{PARENT}"):
        # Another run of the tests may be using it.
        with contextlib.suppress(OSError):
            parent.rmdir()
