"""Running and timing the commands of one OCI runtime."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Final

Sample = dict[str, float]
_PATIENCE: Final = 60.0


class CommandError(Exception):
    """A runtime refused, or took too long; the text is its own."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime's command line and the folder that the measurements use."""

    name: str
    program: str
    work: Path

    @property
    def _id(self) -> str:
        return f"bench-{self.name}-{os.getpid()}"

    def sample(self, variant: str, repeat: int) -> Sample:
        """Milliseconds of each command (``cycle``: create, start and delete together), and peaks of memory in KiB.

        Every figure is the median of ``repeat`` calls, the peaks one call each.
        """
        bundle, pid_file = str(self.work / variant), self.work / "pid"
        create = ["create", "--bundle", bundle, "--pid-file", str(pid_file), self._id]
        taken: dict[str, list[float]] = {
            each: [] for each in ("create", "start", "delete", "cycle", "run", "exec")
        }
        try:
            for _ in range(repeat):
                steps = {"create": self._timed(*create)}
                pid = int(pid_file.read_text())
                steps["start"] = self._timed("start", self._id)
                # As a shim does: the orphan is ours to reap before its cgroup can go.
                with _patience():
                    os.waitpid(pid, 0)
                steps["delete"] = self._timed("delete", self._id)
                steps["cycle"] = sum(steps.values())
                steps["run"] = self._timed("run", "--bundle", bundle, self._id)
                for name, value in steps.items():
                    taken[name].append(value)
            run_peak = self._peak("run", "--bundle", bundle, self._id)
            self._timed(
                "create", "--bundle", f"{bundle}-idle", "--pid-file", str(pid_file), self._id
            )
            self._timed("start", self._id)
            for _ in range(repeat):
                taken["exec"].append(self._timed("exec", self._id, "/bin/true"))
            exec_peak = self._peak("exec", self._id, "/bin/true")
        finally:
            self._remove(pid_file)
        medians = {name: median(values) for name, values in taken.items()}
        return medians | {"run_KiB": run_peak, "exec_KiB": exec_peak}

    def _remove(self, pid_file: Path) -> None:
        with contextlib.suppress(CommandError):
            self._timed("kill", self._id, "KILL")
        with contextlib.suppress(OSError, ValueError, CommandError), _patience():
            os.waitpid(int(pid_file.read_text()), 0)
        with contextlib.suppress(CommandError):
            self._timed("delete", "--force", self._id)

    def _timed(self, *words: str) -> float:
        start = time.perf_counter()
        self._call(words)
        return 1000 * (time.perf_counter() - start)

    def _peak(self, *words: str) -> float:
        """The largest resident set among the command's processes.

        A child inherits its parent's peak over execve, so a small program stands between: busybox's ``time``.
        """
        out = self.work / "peak"
        self._call(words, ["busybox", "time", "-o", str(out), "-f", "%M"])
        return float(out.read_text().split()[-1]) / _peak_unit(self.work)

    def _call(self, words: tuple[str, ...], prefix: list[str] | None = None) -> None:
        argv = [
            *(prefix or []),
            *shlex.split(self.program),
            "--root",
            str(self.work / f"state-{self.name}"),
            *words,
        ]
        log = self.work / f"{self.name}.log"
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        with _patience():
            pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=actions)
            _, status = os.waitpid(pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code:
            said = " ".join(log.read_text(errors="replace").split())
            raise CommandError(f"{self.name} {words[0]}: exit {code}: {said[-300:]}")


def _peak_unit(work: Path) -> int:
    """In what busybox counts: some of its versions say four times the KiB. Found by a program that knows its own peak."""
    out = work / "unit"
    said = work / "unit-said"
    script = f"cat /proc/self/status > {said}"
    argv = [
        "busybox",
        "time",
        "-o",
        str(out),
        "-f",
        "%M",
        "busybox",
        "sh",
        "-c",
        f"exec busybox {script}",
    ]
    pid = os.posix_spawnp(argv[0], argv, os.environ)
    os.waitpid(pid, 0)
    found = re.search(r"VmHWM:\s+(\d+)", said.read_text())
    if found is None:
        raise CommandError("no VmHWM in /proc/self/status")
    return max(1, round(float(out.read_text().split()[-1]) / float(found[1])))


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    def expired(_number: int, _frame: FrameType | None) -> None:
        raise CommandError(f"nothing happens for {_PATIENCE:.0f} s")

    signal.signal(signal.SIGALRM, expired)
    signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
