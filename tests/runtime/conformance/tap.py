"""The Test Anything Protocol, as far as both suites speak it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

LINE = re.compile(r"(ok|not ok) \d+ (?:- )?(.*)")
SKIP = re.compile(r"\s*#\s*skip\b", re.IGNORECASE)


class Outcome(StrEnum):
    """How a case ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Case:
    """One case of a suite: `file: name`."""

    name: str
    outcome: Outcome
    output: str


def output_of(
    command: list[str], directory: Path, environment: dict[str, str], limit: float
) -> str:
    """What a program writes; into a file, because a container that is left behind would hold a pipe open."""
    with tempfile.TemporaryFile() as file:
        running = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            running.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
        file.seek(0)
        return file.read().decode(errors="replace")


def parse(file: str, text: str) -> list[Case]:
    """The cases of one file's output; comment lines belong to the case before them."""
    found: list[tuple[str, Outcome, list[str]]] = []
    for line in text.replace("\r", "").splitlines():
        if match := LINE.match(line):
            name, *skipped = SKIP.split(match[2], maxsplit=1)
            outcome = Outcome.PASSED if match[1] == "ok" else Outcome.FAILED
            found.append((name.strip(), Outcome.SKIPPED if skipped else outcome, []))
        elif found:
            found[-1][2].append(line)
    return [Case(f"{file}: {name}", outcome, "\n".join(lines)) for name, outcome, lines in found]


def summary(cases: list[Case]) -> str:
    """Counts in words."""
    count = Counter(case.outcome for case in cases)
    return ", ".join(f"{count[outcome]} {outcome}" for outcome in Outcome)
