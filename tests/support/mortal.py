"""containerd that kills itself (SIGKILL) right before its n-th change of state: a rename, a removal, a commit, a sync, a
call of a shim or its answer, the start of one, an event.

    python -m tests.support.mortal COUNTER N containerd-arguments…

``N`` of 0 never kills. With MORTAL_AT_START in the environment what happens before it serves counts, too.
COUNTER is a file that gets one line for each change, so that a test learns how many there are.
No hook in the daemon is needed: the interpreter reports changes of files, SQLite its statements.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from typing import Any

_EVENTS = frozenset(
    {
        "os.rename",
        "os.remove",
        "os.mkdir",
        "os.rmdir",
        "os.link",
        "os.symlink",
        "shutil.rmtree",
        "os.truncate",
    }
)
_STATEMENTS = ("BEGIN", "COMMIT")


class Fate:
    """Counts changes below a directory once the daemon serves."""

    def __init__(self, counter: str, number: int, root: str) -> None:
        self._file = os.open(counter, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._number = number
        self._root = root
        self._count = 0
        self.armed = False

    def change(self, what: str) -> None:
        if not self.armed:
            return
        self._count += 1
        os.write(self._file, f"{self._count} {what}\n".encode())
        if self._count == self._number:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS and self.armed:
            path = arguments[0]
            text = os.fsdecode(path) if isinstance(path, (str, bytes)) else ""
            # What is named relative to a directory is below it as well: a layer being unpacked.
            if text.startswith(self._root):
                self.change(f"{event} {text}")


def main() -> int:
    counter, number, *arguments = sys.argv[1:]
    root = arguments[arguments.index("--root") + 1]
    fate = Fate(counter, int(number), root)
    fate.armed = "MORTAL_AT_START" in os.environ
    from containerd.metadata import db

    connect = sqlite3.connect

    def connected(*given: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*given, **options)

        def traced(statement: str) -> None:
            if statement.startswith(_STATEMENTS):
                fate.change(statement.split(maxsplit=1)[0])

        connection.set_trace_callback(traced)
        return connection

    db.sqlite3.connect = connected  # type: ignore[attr-defined]
    sync, sync_data = os.fsync, os.fdatasync

    def synced(descriptor: int) -> None:
        fate.change("fsync")
        sync(descriptor)

    def data_synced(descriptor: int) -> None:
        fate.change("fdatasync")
        sync_data(descriptor)

    os.fsync, os.fdatasync = synced, data_synced
    sys.addaudithook(fate.audit)
    _watch_tasks(fate)
    from containerd import __main__, daemon

    ready = daemon._notify_ready

    def armed(path: str | None) -> None:
        # What happens at start is done again by every start.
        fate.armed = True
        ready(path)

    daemon._notify_ready = armed
    return __main__.main(arguments)


def _watch_tasks(fate: Fate) -> None:
    """What is done to a task is done by others: before they are asked, and when they have answered."""
    from containerd.events.exchange import Exchange
    from containerd.tasks.shim_process import ShimStarter
    from wire.ttrpc.client import Client

    def around(kind: type, name: str, index: int) -> None:
        original = getattr(kind, name)

        async def watched(*given: Any, **options: Any) -> Any:
            what = f"{name} {given[index]}"
            fate.change(what)
            result = await original(*given, **options)
            fate.change(f"{what} done")
            return result

        setattr(kind, name, watched)

    around(Client, "call", 2)
    around(ShimStarter, "start", 3)
    around(ShimStarter, "clean", 2)
    publish = Exchange.publish

    def published(self: Exchange, topic: str, event: Any) -> None:
        fate.change(f"publish {topic}")
        publish(self, topic, event)

    Exchange.publish = published  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(main())
