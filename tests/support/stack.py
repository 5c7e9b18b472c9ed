"""A whole stack of our own for tests: started by the launcher a user would use, and gone without a trace afterwards."""

from __future__ import annotations

import contextlib
import errno
import http.client
import json
import os
import pty
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import leaks
from tests.support.images import BUSYBOX, busybox_layer, docker_archive

CLONE = Path(__file__).parents[2]
BIN = CLONE / "build/bin"
DOCKER = shutil.which("docker")


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass
class Stack:
    """One running stack."""

    root: Path

    @property
    def socket(self) -> Path:
        return self.root / "docker.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DOCKER_HOST": self.url,
            "DOCKER_CONFIG": str(self.root / "client"),
            "DOCKER_CLI_HINTS": "false",
        }

    def call(
        self, *words: str, stdin: bytes | None = None, timeout: float = 50, binary: bool = False
    ) -> Any:
        """One docker command, whatever its exit status."""
        done = subprocess.run(
            ["docker", *words],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env=self.environment,
            timeout=timeout,
        )
        if binary:
            return done
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def docker(self, *words: str, **options: Any) -> str:
        """One docker command that must succeed; its output without the last newline."""
        done: Done = self.call(*words, **options)
        assert done.code == 0, (words, done)
        return done.out.rstrip("\n")

    def fails(self, *words: str, code: int = 1, **options: Any) -> str:
        """One docker command that must fail; its standard error."""
        done: Done = self.call(*words, **options)
        assert done.code == code, (words, done)
        return done.err

    def popen(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        """A docker command that goes on."""
        return subprocess.Popen(["docker", *words], env=self.environment, **options)

    def inspect(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.docker("inspect", name))[0]
        return found

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """One HTTP request; its status and the answer, decoded if it is JSON."""
        connection = UnixConnection(str(self.socket))
        with contextlib.closing(connection):
            payload = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
            given = {"Content-Type": "application/json"} if payload is not None else {}
            connection.request(method, path, payload, {**given, **(headers or {})})
            response = connection.getresponse()
            data = response.read()
            try:
                return response.status, json.loads(data)
            except ValueError:
                return response.status, data

    def pid(self, daemon: str) -> int:
        return int((self.root / f"{daemon}.pid").read_text())

    def kill(self, *daemons: str) -> None:
        """`kill -9` of daemons, and wait until their successors serve."""
        before = {daemon: self.pid(daemon) for daemon in daemons}
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        self.wait_ready(before)

    def wait_ready(self, before: dict[str, int]) -> None:
        """Wait until every daemon of ``before`` has another pid and the stack answers."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(FileNotFoundError, ValueError):
                if all(self.pid(daemon) != pid for daemon, pid in before.items()):
                    break
            time.sleep(0.02)
        # The supervisor answers `up` once everything is ready; the hello image is there already.
        up = subprocess.run(
            [BIN / "dockyard", "up", "--root", self.root], capture_output=True, text=True
        )
        assert up.returncode == 0, up.stderr

    def remove_all(self) -> None:
        names = self.docker("ps", "-aq").split()
        if names:
            self.docker("rm", "-f", "-v", *names)
        kept = self.root / "docker/containers"
        # What nobody can see any more is taken away after the answer.
        wait_until(lambda: not os.listdir(kept), what="the rest of removed containers")


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self._path)


class Terminal:
    """A command on a pseudo-terminal, driven as a person would."""

    def __init__(self, stack: Stack, *words: str) -> None:
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            with contextlib.suppress(OSError):
                os.execvpe("docker", ["docker", *words], {**stack.environment, "TERM": "xterm"})
            os._exit(127)
        self.seen = ""
        """What has come and was not expected yet."""
        self.heard = ""
        """All that has come."""

    def send(self, text: str) -> None:
        os.write(self.master, text.encode())

    def expect(self, text: str, timeout: float = 20) -> str:
        """Read until ``text`` has come; everything up to it."""
        deadline = time.monotonic() + timeout
        while text not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"{text!r} did not come: {self.seen!r}"
            if not self._read(left):
                raise AssertionError(f"ended before {text!r}: {self.seen!r}")
        before, _, self.seen = self.seen.partition(text)
        return before + text

    def _read(self, timeout: float) -> bool:
        if not select.select([self.master], [], [], timeout)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError as error:
            if error.errno == errno.EIO:
                return False
            raise
        text = data.decode(errors="replace")
        self.seen += text
        self.heard += text
        return bool(data)

    def wait(self, timeout: float = 20) -> int:
        """Read to the end; the exit status."""
        deadline = time.monotonic() + timeout
        while self._read(max(0.0, deadline - time.monotonic())):
            assert time.monotonic() < deadline, f"does not end: {self.seen!r}"
        _, status = os.waitpid(self.pid, 0)
        os.close(self.master)
        return os.waitstatus_to_exitcode(status)


def wait_until(check: Any, timeout: float = 20, what: str = "") -> Any:
    """Until ``check()`` is true; for states of other programs that tell nobody of a change."""
    deadline = time.monotonic() + timeout
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"timed out waiting: {what}"
        time.sleep(0.03)


@contextlib.contextmanager
def running_stack(root: Path) -> Iterator[Stack]:
    """Start a stack below ``root``, load busybox, and remove it all in the end; fails if anything stays behind."""
    kernel = leaks.Kernel(root)
    up = subprocess.run(
        [BIN / "dockyard", "up", "--root", root], capture_output=True, text=True, timeout=100
    )
    stack = Stack(root)
    try:
        assert up.returncode == 0, up.stderr
        archive = docker_archive(BUSYBOX, [busybox_layer()])
        stack.docker("load", stdin=archive)
        yield stack
        stack.remove_all()
        left = {**kernel.idle(), **leaks.stored(root)}
        assert not left, f"left by removed containers: {left}"
    finally:
        if os.environ.get("KEEP_LOGS"):
            shutil.copytree(root / "log", os.environ["KEEP_LOGS"], dirs_exist_ok=True)
        down = subprocess.run(
            [BIN / "dockyard", "clean", "--root", root], capture_output=True, text=True, timeout=100
        )
    assert down.returncode == 0, down.stderr
    assert down.stdout == "", down.stdout
    left = kernel.left()
    assert not left, f"left behind: {left}"
    assert (
        sorted(path.name for path in root.iterdir()) in ([], ["client"]) if root.exists() else True
    )
