"""`docker top`: the host's own ps shows the container's processes; nothing of the container is executed or opened."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from dockerd.containerd_client.tasks import Tasks
from dockerd.containers.announce import Announcer
from dockerd.containers.errors import IsRestarting, NotRunning
from dockerd.containers.store import ContainerStore
from wire.errors import Internal, InvalidArgument

_DEFAULT: Final = "-ef"
_ALIAS: Final = re.compile(r"\s+([^\s]*)=\s*(PID[^\s]*)")
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ProcessLister:
    """Lists the processes of containers."""

    def __init__(self, store: ContainerStore, tasks: Tasks, announcer: Announcer) -> None:
        self._store = store
        self._tasks = tasks
        self._announcer = announcer

    async def top(self, reference: str, arguments: str) -> dict[str, Any]:
        """GET /containers/{id}/top; ``arguments`` are those of ps. Raises NotRunning, InvalidArgument, Internal."""
        for name, value in _ALIAS.findall(arguments):
            if name != "pid":
                raise InvalidArgument(f'specifying "{name}={value}" is not allowed')
        if "\0" in arguments:
            raise InvalidArgument("ps_args: invalid argument: it has a zero byte")
        container = self._store.get(reference)
        if container.state.restarting:
            raise IsRestarting(container.container_id)
        if not container.running:
            raise NotRunning(container.container_id)
        pids = await self._tasks.pids(container.container_id)
        words = (arguments or _DEFAULT).split()
        code, out, err = await _ps([*words, "-q" + ",".join(map(str, pids))])
        if code:
            # Some options, such as f, do not go together with q.
            code, out, err = await _ps(words)
        if code:
            raise Internal(f"ps: {err.partition(chr(10))[0] or f'exit status {code}'}")
        titles, rows = parse(out, frozenset(pids))
        self._announcer.say(container, "top")
        return {"Titles": titles, "Processes": rows}


async def _ps(words: list[str]) -> tuple[int, str, str]:
    try:
        process = await asyncio.create_subprocess_exec(
            "ps",
            *words,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": _PATH},
        )
    except OSError as error:
        raise Internal(f"ps: {error.strerror}") from error
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace")


def parse(output: str, pids: frozenset[int]) -> tuple[list[str], list[list[str]]]:
    """Titles and the rows of these processes, each with as many fields; raises Internal without a PID column."""
    head, *lines = output.split("\n")
    titles = head.split()
    if "PID" not in titles:
        raise Internal("Couldn't find PID field in ps output")
    column = titles.index("PID")
    rows: list[list[str]] = []
    threads = False
    for line in filter(None, lines):
        fields = line.split()
        if fields[column] != "-":
            if not fields[column].isdigit():
                raise Internal(f"Unexpected pid '{fields[column]}'")
            threads = int(fields[column]) in pids
        # A thread's line has no pid of its own: it belongs to the process above it.
        if threads:
            last = len(titles) - 1
            rows.append([*fields[:last], " ".join(fields[last:])])
    return titles, rows
