"""`docker top`, read from /proc: nothing of the container is executed."""

from __future__ import annotations

import contextlib
import os
import time

from dockerd.containerd_client.tasks import Tasks
from dockerd.containers.errors import IsRestarting, NotRunning
from dockerd.containers.store import ContainerStore

TITLES = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]


class ProcessLister:
    """Lists the processes of containers."""

    def __init__(self, store: ContainerStore, tasks: Tasks) -> None:
        self._store = store
        self._tasks = tasks

    async def top(self, reference: str) -> list[list[str]]:
        """Rows below TITLES, as `ps -ef` would show them; raises NotRunning, IsRestarting."""
        container = self._store.get(reference)
        if container.state.restarting:
            raise IsRestarting(container.container_id)
        if not container.running:
            raise NotRunning(container.container_id)
        rows = []
        for pid in await self._tasks.pids(container.container_id):
            with contextlib.suppress(OSError, IndexError, ValueError):
                rows.append(_row(pid))
        return rows


def _row(pid: int) -> list[str]:
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    used = (int(fields[11]) + int(fields[12])) // ticks
    started = time.strftime("%H:%M", time.localtime(_boot_time() + int(fields[19]) / ticks))
    uid = os.stat(f"/proc/{pid}").st_uid
    user = "root" if uid == 0 else str(uid)
    terminal = int(fields[4])
    tty = "?" if terminal == 0 else f"pts/{os.minor(terminal)}"
    duration = f"{used // 3600:02}:{used // 60 % 60:02}:{used % 60:02}"
    return [user, str(pid), fields[1], "0", started, tty, duration, _command(pid)]


def _boot_time() -> int:
    with open("/proc/stat", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("btime"))


def _command(pid: int) -> str:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    if command:
        return command
    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return f"[{file.read().strip()}]"
