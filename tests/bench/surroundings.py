"""Fair and separate surroundings for a benchmark: own network, mounts and processes, and nothing of it stays behind.

A real dockerd changes the forwarding policy and the sysctls of its network, and its parts use fixed paths below /run. So
everything, engines and clients, runs in one set of fresh namespaces, with a file system of its own on /run. The end of their
first process ends all others, whatever happened before.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

_INSIDE: Final = "DOCKYARD_BENCH_WORK"
_CGROUPS: Final = Path("/sys/fs/cgroup")


def run_inside(module: str, arguments: list[str], main: Callable[[Path], int]) -> int:
    """Run ``main`` with a work folder inside new surroundings, by running ``module`` again there; its exit status."""
    work = os.environ.get(_INSIDE)
    if work is not None:
        return _first_process(lambda: main(Path(work)))
    with _work_folder() as folder:
        command = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        inner = subprocess.Popen(
            [*command, sys.executable, "-m", module, *arguments],
            env={**os.environ, _INSIDE: str(folder), "LC_ALL": "C.UTF-8"},
        )
        # The terminal tells everybody inside itself; unshare keeps what others send to itself.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda number, _: _signal_child(inner.pid, number))
        return inner.wait()


def _signal_child(pid: int, number: int) -> None:
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        os.kill(int(child), number)


@contextlib.contextmanager
def _work_folder() -> Iterator[Path]:
    parents = {path for path in _docker_cgroups() if path.exists()}
    folder = Path(tempfile.mkdtemp(prefix="dockyard-bench-"))
    try:
        yield folder
    finally:
        _remove_cgroups(folder, parents)
        shutil.rmtree(folder)


def _docker_cgroups() -> list[Path]:
    folders = [_CGROUPS, *(path for path in _CGROUPS.iterdir() if path.is_dir())]
    return [folder / "docker" for folder in folders if folder.name != "docker"]


def _remove_cgroups(folder: Path, parents: set[Path]) -> None:
    """Cgroups outlast a PID namespace that was ended from outside: remove those of containers that ``folder`` knows."""
    containers = [path.name for path in folder.glob("*/docker/containers/*")]
    for parent in _docker_cgroups():
        for name in containers:
            with contextlib.suppress(OSError):
                (parent / name).rmdir()
        if parent not in parents:
            with contextlib.suppress(OSError):
                parent.rmdir()


def _first_process(main: Callable[[], int]) -> int:
    """The first process of a PID namespace collects whom others leave behind; ``main`` runs in a child."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(child, number))
    while True:
        pid, status = os.wait()
        if pid == child:
            # Not by sys.exit: what still runs is killed by the kernel when this process ends.
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
