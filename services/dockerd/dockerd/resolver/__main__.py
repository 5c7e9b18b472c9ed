"""``python -m dockerd.resolver SOCKET``: serve until nobody needs names any more, or we are told to end.

dockerd connects to SOCKET and sends JSON messages, one a packet, some with descriptors (SCM_RIGHTS):

    open      sandbox, two descriptors: a UDP socket and a TCP listener     close     sandbox
    sandbox   sandbox, networks, links, servers                             forget    network
    network   network, names, addresses                                     list, exit
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from typing import Any, Final

from dockerd.resolver.records import Records
from dockerd.resolver.server import Sandbox

_LARGEST: Final = 4 << 20
_IDLE: Final = 2.0


class Resolver:
    """All sandboxes, and the connection to dockerd."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._records = Records()
        self._sandboxes: dict[str, Sandbox] = {}
        self._busy = True
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Until the end."""
        loop = asyncio.get_running_loop()
        accepting = loop.create_task(self._accept())
        idling = loop.create_task(self._idle())
        await self._ended.wait()
        accepting.cancel()
        idling.cancel()
        for sandbox in self._sandboxes.values():
            sandbox.close()

    def end(self) -> None:
        """Stop serving."""
        self._ended.set()

    async def _idle(self) -> None:
        """Without containers there is nothing to do; dockerd starts another resolver when it has some."""
        while True:
            await asyncio.sleep(_IDLE)
            if not self._sandboxes and not self._busy:
                self._ended.set()
            self._busy = False

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        tasks: set[asyncio.Task[None]] = set()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            connection.setblocking(False)
            task = loop.create_task(self._serve(connection))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        loop.add_reader(connection, readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                with contextlib.suppress(BlockingIOError):
                    while True:
                        data, descriptors, _, _ = socket.recv_fds(connection, _LARGEST, 2)
                        if not data:
                            return
                        reply = await self._handle(json.loads(data), descriptors)
                        connection.send(json.dumps(reply).encode())
        except (OSError, ValueError, KeyError):
            return
        finally:
            loop.remove_reader(connection)
            connection.close()

    async def _handle(self, message: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        self._busy = True
        match message["op"]:
            case "open":
                udp, tcp = (socket.socket(fileno=descriptor) for descriptor in descriptors)
                self._close(message["sandbox"])
                sandbox = Sandbox(message["sandbox"], self._records, udp, tcp)
                await sandbox.open()
                self._sandboxes[message["sandbox"]] = sandbox
            case "close":
                self._close(message["sandbox"])
                self._records.forget_view(message["sandbox"])
            case "sandbox":
                self._records.set_view(message)
            case "network":
                self._records.set_network(message)
            case "forget":
                self._records.forget_network(message["network"])
            case "list":
                return {"sandboxes": list(self._sandboxes)}
            case "exit":
                self._ended.set()
            case _:
                return {"error": "unknown operation"}
        return {}

    def _close(self, sandbox: str) -> None:
        known = self._sandboxes.pop(sandbox, None)
        if known is not None:
            known.close()


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    listener.listen(8)
    listener.setblocking(False)
    return listener


async def _serve(listener: socket.socket, path: str) -> None:
    identity = os.stat(path).st_ino
    resolver = Resolver(listener)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, resolver.end)
    await resolver.run()
    # Not that of a successor.
    with contextlib.suppress(OSError):
        if os.stat(path).st_ino == identity:
            os.unlink(path)


def main(path: str) -> None:
    """Listen, leave whoever started us, and serve."""
    # Nobody has to wait for our end: the parent's end says that its child listens.
    ready, child_ready = os.pipe()
    if os.fork():
        os.close(child_ready)
        os._exit(0 if os.read(ready, 1) else 1)
    os.close(ready)
    listener = _listen(path)
    os.write(child_ready, b"1")
    os.close(child_ready)
    asyncio.run(_serve(listener, path))


if __name__ == "__main__":
    main(sys.argv[1])
