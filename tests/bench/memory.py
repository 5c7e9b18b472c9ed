"""The memory of an engine by the roles of its processes.

PSS as in smaps, with one difference: a page is shared among the engine's own processes only. The kernel's own figure counts
every program of the machine that maps the same file, so that another Python would make a Python engine look smaller.
"""

from __future__ import annotations

import contextlib
import os
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench.engines import Engine

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PRESENT: Final = 1 << 63
_FRAME: Final = (1 << 55) - 1
_MIB: Final = 1 << 20
_ENTRY: Final = 8


def by_role(engine: Engine) -> dict[str, float]:
    """MiB of each role's processes; their sum is what the engine occupies outside of containers."""
    frames: dict[str, list[array[int]]] = defaultdict(list)
    for process, role in _processes(engine):
        with contextlib.suppress(OSError):
            frames[role].append(_frames(process))
    users: Counter[int] = Counter()
    for sets in frames.values():
        for each in sets:
            users.update(each)
    return {
        role: sum(1 / users[frame] for each in sets for frame in each) * _PAGE / _MIB
        for role, sets in frames.items()
    }


def processes_of(engine: Engine, role: str) -> list[int]:
    """The process ids of a role."""
    return [int(process.name) for process, found in _processes(engine) if found == role]


def _processes(engine: Engine) -> Iterator[tuple[Path, str]]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            role = _role(engine, process)
            if role is not None:
                yield process, role


def _role(engine: Engine, process: Path) -> str | None:
    if os.readlink(process / "ns/pid") != os.readlink("/proc/self/ns/pid"):
        return None  # in a container
    parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
    family = f"{_command(Path('/proc') / parent)}> {_command(process)}"
    return engine.role(family)


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except FileNotFoundError:  # pid 0 is no process
        return ""


def _frames(process: Path) -> array[int]:
    """The page frames that a process maps, each once."""
    found: set[int] = set()
    with (process / "pagemap").open("rb", buffering=0) as pagemap:
        for start, end in _resident(process):
            pagemap.seek(start // _PAGE * _ENTRY)
            entries = array("Q", pagemap.read((end - start) // _PAGE * _ENTRY))
            found.update(entry & _FRAME for entry in entries if entry & _PRESENT)
    if found == {0}:
        raise PermissionError("pagemap hides frame numbers: needs CAP_SYS_ADMIN")
    return array("Q", found)


def _resident(process: Path) -> list[tuple[int, int]]:
    """Address ranges with resident pages."""
    ranges, current = [], (0, 0)
    for line in (process / "smaps").read_text().splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            low, _, high = name.partition("-")
            current = (int(low, 16), int(high, 16))
        elif name == "Rss:" and int(rest.split()[0]):
            ranges.append(current)
    return ranges
