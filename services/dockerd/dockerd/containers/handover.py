"""Handing a client's connection to the shim: one message, one descriptor, and the shim serves it from then on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from typing import Any, Final

from dockerd.linux.sockets import read_by_peer
from wire.errors import ErrorKind, InvalidArgument, Unavailable
from wire.status import error_for

_CONTROLLED: Final = "abcdefghijklmnopqrstuvwxyz@[\\]^_"
_LIMIT: Final = 1 << 16
_PATIENCE: Final = 10.0
_HEAD_PATIENCE: Final = 1.0
_SO_SNDBUFFORCE: Final = 32
_LARGEST_MESSAGE: Final = 2 << 20


def request(
    *,
    exec_id: str,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    multiplexed: bool,
    detach_keys: list[int],
    logs: bool,
    stream: bool,
    early: str,
) -> dict[str, Any]:
    """The message of a hand-over."""
    return {
        "op": "attach",
        "exec": exec_id,
        "stdin": stdin,
        "stdout": stdout,
        "stderr": stderr,
        "framing": "multiplexed" if multiplexed else "raw",
        "detach_keys": detach_keys if stdin else "",
        "logs": logs,
        "stream": stream,
        "early": early,
    }


def detach_keys(text: str) -> list[int]:
    """The bytes of a sequence such as ``ctrl-p,ctrl-q``, which it is if empty; raises InvalidArgument."""
    found = []
    for word in (text or "ctrl-p,ctrl-q").split(","):
        if len(word) == 1:
            found.append(ord(word))
        elif word.startswith("ctrl-") and len(word) == 6 and word[5].lower() in _CONTROLLED:
            found.append(ord(word[5].upper()) & 0x1F)
        else:
            raise InvalidArgument(f"Invalid detach keys ({text}) provided")
    return found


class HandedOver:
    """The control connection of a client that the shim serves."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control

    async def ended(self) -> str:
        """``closed`` or ``detached``, when the client is gone."""
        loop = asyncio.get_running_loop()
        try:
            data = await loop.sock_recv(self._control, _LIMIT)
            return str(json.loads(data)["event"]) if data else "closed"
        except (OSError, ValueError, KeyError):
            return "closed"
        finally:
            self._control.close()


async def head_read(client: int) -> None:
    """Until a client has read the head of its answer, or does not for a while; what follows the head may be sent then.

    docker-py reads the head through a buffer and goes around it afterwards: what has come with the head is lost to it.
    """
    await read_by_peer(client, _HEAD_PATIENCE)


async def refuse(client: int, message: dict[str, Any], text: str) -> None:
    """Say on a connection that will not be handed over why not, as its own output, and close it."""
    data = f"{text}\r\n".encode()
    if message["framing"] == "multiplexed":
        data = struct.pack(">BxxxI", 1, len(data)) + data
    try:
        await head_read(client)
        with contextlib.suppress(OSError):
            os.write(client, data)
    finally:
        os.close(client)


async def hand_over(path: str, message: dict[str, Any], client: int) -> HandedOver:
    """Give the descriptor ``client`` to the shim behind ``path`` and close our copy; raises EngineError kinds."""
    try:
        await head_read(client)
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    except BaseException:
        os.close(client)
        raise
    control.setblocking(False)
    # Early bytes of the client travel in the message; the default buffer is smaller than one read of them.
    control.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _LARGEST_MESSAGE)
    loop = asyncio.get_running_loop()
    try:
        try:
            control.connect(path)
            socket.send_fds(control, [json.dumps(message).encode()], [client])
            async with asyncio.timeout(_PATIENCE):
                data = await loop.sock_recv(control, _LIMIT)
            reply = json.loads(data)
        except (OSError, ValueError, TimeoutError) as error:
            raise Unavailable(
                f"the container's shim does not take the connection: {error}"
            ) from error
        failure = reply.get("error")
        if failure:
            raise error_for(ErrorKind(failure["kind"]), failure["message"], None, {})
    except BaseException:
        control.close()
        raise
    finally:
        os.close(client)
    return HandedOver(control)
