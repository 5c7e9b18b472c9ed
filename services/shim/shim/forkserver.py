"""The warm parent: everything a shim needs is imported once; a request costs a fork.

containerd holds the other end of a SEQPACKET pair (`-socket` is our descriptor, 3 by default): one JSON datagram in, one out.
Its end is ours.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket

from shim import bootstrap, linux
from wire.errors import EngineError, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

_LIMIT: Final = 1 << 16
_CHANNEL: Final = 3


def run(descriptor: int = _CHANNEL) -> None:
    """Serve requests until the channel closes."""
    # Loaded before the first fork, so that no shim pays for it.
    import ctypes  # noqa: F401

    from shim.rehearsal import rehearse

    rehearse()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    # What a killed shim leaves is reaped here, at once: only then does the kernel tell a container's exit status.
    linux.become_subreaper()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    channel = socket.socket(fileno=descriptor)
    channel.set_inheritable(False)
    # A containerd that is killed resets the channel.
    with contextlib.suppress(ConnectionError):
        while data := channel.recv(_LIMIT):
            channel.send(json.dumps(_answer(data)).encode())


def _answer(data: bytes) -> dict[str, Any]:
    try:
        started = bootstrap.start(_parse(data))
    except EngineError as error:
        return {"error": {"kind": str(error.kind), "message": error.message}}
    except OSError as error:
        return {"error": {"kind": "internal", "message": f"failed to start a shim: {error}"}}
    return {"version": 3, "address": started.address, "protocol": "ttrpc", "pid": started.pid}


def _parse(data: bytes) -> bootstrap.Request:
    try:
        fields = json.loads(data)
        return bootstrap.Request(
            namespace=fields["namespace"],
            bundle=fields["bundle"],
            ttrpc_address=fields["ttrpc_address"],
            socket_dir=fields["socket_dir"],
            socket_path=fields["socket_path"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidArgument(f"forkserver request: {error}") from error
