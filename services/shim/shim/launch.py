"""The runtime's create and exec, and taking the process that they bring forth into our care."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket

from shim.stdio.streams import receive_terminal
from wire import pidfd
from wire.errors import FailedPrecondition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from shim.exits import Exit, Exits
    from shim.loop import Future
    from shim.process import Process
    from shim.runtime_cli import RuntimeCli


class Launcher:
    """Launches the processes of one container."""

    def __init__(self, exits: Exits, runtime: RuntimeCli, socket_dir: str) -> None:
        self._exits = exits
        self._runtime = runtime
        self._socket_dir = socket_dir
        self._numbers = itertools.count()

    async def launch(
        self, process: Process, verb: str, flags: list[str], pid_file: str
    ) -> Future[Exit]:
        """Run ``verb``, give the process its streams and note its pid; its end."""
        await process.streams.ready()
        flags = [*flags, "--pid-file", pid_file]
        self._exits.expect()
        try:
            if process.terminal:
                await self._with_terminal(process, verb, flags)
            else:
                stdio = process.streams.pipes(*self._runtime.io_owner)
                await self._runtime.run(verb, *flags, stdio=stdio)
                process.streams.given_away()
            with open(pid_file, encoding="ascii") as file:
                process.pid = int(file.read())
            process.started = pidfd.start_time(process.pid)
            return self._exits.claim(process.pid)
        finally:
            self._exits.expected()

    async def _with_terminal(self, process: Process, verb: str, flags: list[str]) -> None:
        path = f"{self._socket_dir}/c{os.getpid()}-{next(self._numbers)}"
        with socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        ) as console:
            console.bind(path)
            try:
                console.listen(1)
                await self._runtime.run(verb, *flags, "--console-socket", path)
                # The runtime has returned, so its message waits in the backlog.
                try:
                    connection, _ = console.accept()
                except BlockingIOError:
                    raise FailedPrecondition("the runtime sent no terminal") from None
                process.streams.use_terminal(receive_terminal(connection))
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
