"""What goes on while daemons are killed: each worker does one kind of thing again and again, and checks what it sees.

A command may fail, because a daemon was away; it must not lie. What a worker cannot forgive goes into ``complaints``.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.stack import Done, Stack, Terminal

# What the CLI says, and how it ends, when a daemon was killed under it.
DAEMON_AWAY = (1, 125, 126, 127)
_PATIENCE = 180.0


class Load:
    """Workers in threads of their own, seeded one by one."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self.stack = stack
        self.complaints: list[str] = []
        self.done: dict[str, int] = {}
        self.failed: dict[str, int] = {}
        self._seed = seed
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, name: str, work: Callable[[random.Random], bool | None]) -> None:
        """Repeat ``work`` until the end; it returns whether it succeeded, None for what does not count."""
        chance = random.Random(f"{self._seed}:{name}")

        def run() -> None:
            while not self._stop.is_set():
                try:
                    result = work(chance)
                except Exception as error:
                    self.complaints.append(
                        f"{time.strftime('%T', time.gmtime())} {name}: {error!r}"
                    )
                    return
                if result is not None:
                    counts = self.done if result else self.failed
                    counts[name] = counts.get(name, 0) + 1

        thread = threading.Thread(target=run, name=name)
        self._threads.append(thread)
        thread.start()

    def finish(self) -> None:
        """Let every worker end what it does."""
        self._stop.set()
        for thread in self._threads:
            thread.join(_PATIENCE)
            if thread.is_alive():
                self.dump()
                self.complaints.append(f"{thread.name}: does not end")

    def call(self, *words: str) -> Done:
        """A docker command that hangs is a complaint; a stopped stack would be one, too."""
        try:
            found: Done = self.stack.call(*words, timeout=_PATIENCE)
            return found
        except subprocess.TimeoutExpired:
            self.dump()
            raise AssertionError(f"hangs: docker {' '.join(words)}") from None

    def _story(self, name: str) -> str:
        self.dump()
        return repr(self.stack.call("inspect", "-f", "{{json .State}}", name))

    def dump(self) -> None:
        """Have the daemons write their stacks into their logs."""
        for daemon in ("dockerd", "containerd"):
            with contextlib.suppress(OSError, ValueError):
                os.kill(self.stack.pid(daemon), signal.SIGUSR1)
        time.sleep(1)

    # -- the kinds of work

    def run(self, chance: random.Random) -> bool:
        """`docker run --rm`: exit code and output are the container's, or the daemon's error."""
        code, token = chance.choice((0, 3, 42)), f"token{chance.randrange(10**9)}"
        done = self.call("run", "--rm", "busybox", "sh", "-c", f"echo {token}; exit {code}")
        if done.code == code:
            assert done.out == f"{token}\n", done
            return True
        assert done.code in DAEMON_AWAY, (code, done)
        assert done.err != "", done
        return False

    def exec(self, name: str, chance: random.Random) -> bool:
        """`docker exec` in a container that always runs."""
        code, token = chance.choice((0, 5)), f"token{chance.randrange(10**9)}"
        done = self.call("exec", name, "sh", "-c", f"echo {token}; exit {code}")
        if done.code == code and done.out:
            assert done.out == f"{token}\n", done
            return True
        # 137: its daemon was killed before it had begun, and the next one tells that nobody saw its end.
        assert done.code in (*DAEMON_AWAY, 137) or (done.code == 0 and done.err), (code, done)
        return False

    def cycle(self, number: int, chance: random.Random) -> bool:
        """Create, start, stop or kill, start again, remove: any of it may fail, and the next round begins anew."""
        name = f"cycle{number}-{chance.randrange(10**9)}"
        network = chance.choice(("bridge", "none"))
        good = self.call(
            "run", "-d", "--name", name, "--network", network, "-v", "/data", "busybox",
            "sh", "-c", "trap 'exit 9' TERM; while true; do sleep 0.2; done",
        ).code == 0  # fmt: skip
        time.sleep(chance.random() / 4)
        for words in (
            ("stop", "-t", "3", name),
            ("start", name),
            (chance.choice(("kill", "restart", "pause")), name),
        ):
            good = self.call(*words).code == 0 and good
        # A daemon may die under the removal, which is then finished by the next one.
        for _ in range(50):
            done = self.call("rm", "-f", "-v", name)
            if done.code == 0 and "Error" not in done.err:
                return good
            if "No such container" in done.err:
                return good
            time.sleep(0.1)
        raise AssertionError(f"cannot be removed: {done}")

    def pull(self, reference: str, chance: random.Random) -> bool:
        """`docker pull`, and away with it again."""
        good = self.call("pull", "-q", reference).code == 0
        if good and chance.random() < 0.5:
            done = self.call("run", "--rm", reference, "cat", "/data/seed")
            assert done.code != 0 or done.out == "from the image\n", done
        self.call("rmi", "-f", reference)
        return good

    def fetch(self, address: tuple[str, int], _chance: random.Random) -> bool:
        """A published port answers, whoever is dead."""
        with socket.create_connection(address, timeout=20) as connection:
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            found = b""
            while data := connection.recv(4096):
                found += data
        assert found.endswith(b"served\n"), found
        time.sleep(0.05)
        return True

    def terminal(self, chance: random.Random) -> bool | None:
        """`docker run -it` that lives through some kills: what is typed is answered, the exit code is right."""
        name = f"terminal{chance.randrange(10**9)}"
        terminal = Terminal(self.stack, "run", "-it", "--rm", "--name", name, "busybox", "sh")
        code = chance.choice((4, 44))
        try:
            terminal.expect("#", timeout=_PATIENCE)
        except AssertionError:
            # The daemon was killed before the container had started.
            try:
                terminal.wait(_PATIENCE)
            except AssertionError:
                raise AssertionError(f"{name} hangs: {self._story(name)}") from None
            return False
        for number in range(6):
            terminal.send(f"echo an''swer{number}\n")
            # Without the newline: the CLI may not have set its own terminal yet.
            try:
                terminal.expect(f"answer{number}\r", timeout=_PATIENCE / 6)
            except AssertionError as error:
                if _is_cooked(terminal.master):
                    # The answer to its start was lost with the daemon, though the container runs: the CLI lets the
                    # terminal go and, because of --rm, waits for the container's removal before it says so.
                    self.call("rm", "-f", name)
                    assert terminal.wait(_PATIENCE) != 0, name
                    return False
                raise AssertionError(f"{name}: {error}: {self._story(name)}") from None
            time.sleep(chance.random() / 2)
        terminal.send(f"exit {code}\n")
        try:
            ended = terminal.wait(_PATIENCE)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}: {self._story(name)}") from None
        if ended != code:
            # The CLI sends its wait before the start, goes on if a daemon dies before it takes that, and says so in the end.
            told = "error waiting for container" in terminal.heard
            assert (ended, told) == (125, True), (name, ended, code, terminal.heard)
            return False
        return True


def _is_cooked(master: int) -> bool:
    """Whether the terminal echoes by itself: the CLI has let it go."""
    return bool(termios.tcgetattr(master)[3] & termios.ECHO)


def counting(stack: Stack, name: str, *flags: str) -> tuple[str, int, str]:
    """A container that counts into its log and ends a line with a long tail now and then: id, pid, time of birth."""
    script = (
        "n=0; while [ ! -e /tmp/stop ]; do n=$((n+1)); echo line $n;"
        " [ $((n % 50)) = 0 ] && usleep 20000; done; echo last $n; sleep 9999"
    )
    container = stack.docker("run", "-d", "--name", name, *flags, "busybox", "sh", "-c", script)
    pid = int(stack.inspect(container)["State"]["Pid"])
    return container, pid, born(pid)


def born(pid: int) -> str:
    """When a process started: tells it from another with the same pid; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def lines_of(stack: Stack, name: str) -> list[str]:
    """The log, once the container says that it has counted to the end."""
    stack.docker("exec", name, "touch", "/tmp/stop")
    deadline = time.monotonic() + 30
    while True:
        lines = stack.docker("logs", name).splitlines()
        if lines and lines[-1].startswith("last "):
            return lines
        assert time.monotonic() < deadline, lines[-3:]
        time.sleep(0.1)


def parent_of(pid: int) -> int:
    """A process's parent; 0 if there is none."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def own_limit() -> int:
    """How many kills a run has."""
    return int(os.environ.get("CHAOS_KILLS", "200"))
