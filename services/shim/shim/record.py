"""What another shim must know to go on with a container whose shim was killed: beside the bundle, replaced whole.

It lives as long as the machine's uptime at most, so it is renamed into place without being flushed to the disk.
"""

from __future__ import annotations

import contextlib
import json
import os

from shim.options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any, Final

_NAME: Final = "shim.json"
# The folders of bundles below containerd's state.
_PLUGINS: Final = ("io.containerd.runtime.v2.task", "io.containerd.sandbox.controller.v1.shim")
_OPTIONS: Final = (
    "binary",
    "root",
    "systemd_cgroup",
    "no_pivot_root",
    "no_new_keyring",
    "io_uid",
    "io_gid",
)


class ProcessRecord:
    """One process; ``started`` in clock ticks since boot, ``pipes`` the inodes of its output pipes."""

    __slots__ = ("exec_id", "pid", "pipes", "started", "stderr", "stdin", "stdout", "terminal")

    def __init__(
        self,
        *,
        exec_id: str,
        terminal: bool,
        stdin: str,
        stdout: str,
        stderr: str,
        pid: int,
        started: int,
        pipes: dict[str, int],
    ) -> None:
        self.exec_id = exec_id
        self.terminal = terminal
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.pid = pid
        self.started = started
        self.pipes = pipes


class ContainerRecord:
    """One container; ``socket`` is the shim's, which a group shares."""

    __slots__ = ("container_id", "mounted", "options", "processes", "socket")

    def __init__(
        self,
        *,
        container_id: str,
        socket: str,
        mounted: bool,
        options: Options,
        processes: list[ProcessRecord],
    ) -> None:
        self.container_id = container_id
        self.socket = socket
        self.mounted = mounted
        self.options = options
        self.processes = processes


def save(bundle: str, record: ContainerRecord) -> None:
    """Replace the record; harmless if the bundle is gone."""
    path = f"{bundle}/{_NAME}"
    with contextlib.suppress(FileNotFoundError):
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(document(record), file)
        os.rename(f"{path}.new", path)


def document(record: ContainerRecord) -> dict[str, Any]:
    """A record as JSON has it."""
    return {
        "container_id": record.container_id,
        "socket": record.socket,
        "mounted": record.mounted,
        "options": {name: getattr(record.options, name) for name in _OPTIONS},
        "processes": [
            {name: getattr(each, name) for name in ProcessRecord.__slots__}
            for each in record.processes
        ],
    }


def forget(bundle: str) -> None:
    """The container is deleted."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{bundle}/{_NAME}")


def load(bundle: str) -> ContainerRecord | None:
    """The record of a bundle; None if there is none that can be used."""
    try:
        with open(f"{bundle}/{_NAME}", encoding="utf-8") as file:
            return parse(json.load(file))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def parse(fields: dict[str, Any]) -> ContainerRecord:
    """The record in a document; raises KeyError or TypeError."""
    return ContainerRecord(
        container_id=fields["container_id"],
        socket=fields["socket"],
        mounted=fields["mounted"],
        options=Options(**fields["options"]),
        processes=[ProcessRecord(**each) for each in fields["processes"]],
    )


def bundles_of(socket: str, bundle: str) -> Iterator[str]:
    """The bundle, and its neighbours whose containers the same shim had (a group)."""
    for neighbour in neighbours(bundle):
        record = load(neighbour)
        if record is not None and (record.socket == socket or neighbour == bundle):
            yield neighbour


def neighbours(bundle: str) -> Iterator[str]:
    """The bundle and those beside it; containerd keeps sandboxes and tasks in folders of their own."""
    parent = os.path.dirname(bundle)
    state, plugin, namespace = parent.rsplit("/", 2)
    parents = [parent]
    if plugin in _PLUGINS:
        parents = [f"{state}/{each}/{namespace}" for each in _PLUGINS]
    for folder in parents:
        with contextlib.suppress(OSError):
            for name in os.listdir(folder):
                yield f"{folder}/{name}"


def find_pipes(inodes: dict[str, int], pids: Iterable[int]) -> dict[str, int]:
    """Read ends of the pipes with these inodes, opened through any process that still holds them; by stream.

    A process may have put something else in the place of its standard streams since: only the inode tells.
    """
    wanted = {f"pipe:[{inode}]": name for name, inode in inodes.items()}
    found: dict[str, int] = {}
    for pid in pids:
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                path = f"/proc/{pid}/fd/{number}"
                with contextlib.suppress(OSError):
                    name = wanted.get(os.readlink(path))
                    if name is not None and name not in found:
                        found[name] = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if len(found) == len(wanted):
            break
    return found
