"""Tables of what a user types and what Docker answers: one row is a shell line, its exit status, and the shape of its output.

In a shape every run of blanks stands for any run of blanks, and words in angle brackets stand for what changes from run to run:

    <id> <short>  64 or 12 hexadecimal digits    <n>  a number         <size>  such as 1.98MB
    <time>        RFC 3339                       <ago> such as "2 seconds ago" or "2 seconds"
    <ip> <port>   an IPv4 address, a port        <name> one word       <*>  anything, over several lines, too

In a line $DISK is some block device of this machine.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import subprocess
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.support.stack import Stack, wait_until

_HOLES: Final = {
    "<id>": r"[0-9a-f]{64}",
    "<short>": r"[0-9a-f]{12}",
    "<n>": r"-?\d+(?:\.\d+)?",
    "<size>": r"\d+(?:\.\d+)?(?:[kKMGT]i?)?B",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)",
    "<ago>": r"(?:Less than a second|About an? \w+|\d+ \w+)(?: ago)?",
    "<ip>": r"\d+\.\d+\.\d+\.\d+",
    "<port>": r"\d{1,5}",
    "<name>": r"\S+",
    "<*>": r"(?s:.*)",
}
_PIECES: Final = re.compile(f"({'|'.join(map(re.escape, _HOLES))}|\\s+)")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    ``given`` is a line that must succeed before; ``since`` the first version (a major one) of the CLI that has or says it so;
    ``original`` why Debian's Docker 20.10 answers otherwise than the Docker that this engine follows.
    """

    line: str
    out: str
    err: str
    code: int
    given: str
    since: int
    original: str


def row(
    line: str,
    out: str = "",
    err: str = "",
    code: int = 0,
    *,
    given: str = "",
    since: int = 0,
    original: str = "",
) -> Row:
    """A row; what is not given must be empty, or zero."""
    return Row(line, out, err, code, given, since, original)


@functools.cache
def _disk() -> str:
    """A whole disk: the kernel limits no others."""
    return f"/dev/{min(os.listdir('/sys/block'), key=lambda name: (name.startswith('loop'), name))}"


def named(rows: list[Row]) -> dict[str, Any]:
    """What parametrizes a test with the rows, each under its line."""
    return {"argnames": "each", "argvalues": rows, "ids": [each.line[:90] for each in rows]}


def pattern(shape: str) -> re.Pattern[str]:
    """A shape as a regular expression."""
    pieces = [
        _HOLES.get(piece, r"\s+" if piece.isspace() else re.escape(piece))
        for piece in _PIECES.split(shape.strip())
    ]
    return re.compile("".join(pieces))


def fits(shape: str, text: str) -> bool:
    """Whether an output has the shape; blanks at its ends do not count."""
    return pattern(shape).fullmatch(text.strip()) is not None


@dataclass
class Bench:
    """An engine on which rows are tried, and the objects that stay while rows come and go."""

    engine: Stack
    folder: Path
    version: int
    kept: set[str] = field(default_factory=set)

    def shell(self, line: str, timeout: float = 40) -> subprocess.CompletedProcess[str]:
        """Run a line as a user would, in the folder."""
        return subprocess.run(
            ["sh", "-c", line],
            cwd=self.folder,
            env={**self.engine.environment, "DISK": _disk()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )

    def keep(self, *words: str) -> None:
        """Create a container that outlives the rows; ``words`` are those of `docker run`."""
        self.kept.add(self.engine.docker("run", "-d", *words))

    def check(self, each: Row) -> None:
        """Try a row."""
        if each.given:
            before = self.shell(each.given)
            assert before.returncode == 0, (each.given, before)
        done = self.shell(each.line)
        found = f"{each.line}\n[{done.returncode}]\n{done.stdout}--\n{done.stderr}"
        assert done.returncode == each.code, found
        assert fits(each.out, done.stdout), f"not {each.out!r}: {found}"
        assert fits(each.err, done.stderr), f"not {each.err!r}: {found}"

    def clear(self, *, everything: bool = False) -> None:
        """Remove what rows have left: containers, networks, volumes, images, files."""
        if everything:
            self.kept.clear()
        for found in self._get("/containers/json?all=1"):
            if found["Id"] not in self.kept:
                self.engine.request("DELETE", f"/containers/{found['Id']}?force=1&v=1")
        custom = urllib.parse.quote(json.dumps({"type": ["custom"]}))
        for found in self._get(f"/networks?filters={custom}"):
            self.engine.request("DELETE", f"/networks/{found['Id']}")
        # A container that goes by itself holds its volumes until it is gone.
        wait_until(self._without_volumes, what="the end of volumes")
        for found in self._get("/images/json"):
            names = [each for each in found["RepoTags"] or [] if each != "<none>:<none>"]
            if "busybox:latest" in names:
                names.remove("busybox:latest")
            elif "hello:latest" not in names:
                names.append(found["Id"])
            for name in names:
                if name != "hello:latest":
                    self.engine.request("DELETE", f"/images/{urllib.parse.quote(name)}?force=1")
        subprocess.run(
            f"find {shlex.quote(str(self.folder))} -mindepth 1 -delete", shell=True, check=True
        )

    def _without_volumes(self) -> bool:
        for found in self._get("/volumes")["Volumes"] or []:
            self.engine.request("DELETE", f"/volumes/{found['Name']}?force=1")
        return not self._get("/volumes")["Volumes"]

    def _get(self, path: str) -> Any:
        status, answer = self.engine.request("GET", path)
        assert status == 200, answer
        return answer
