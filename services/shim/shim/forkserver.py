"""The warm parent: everything a shim needs is imported once; a request costs a fork.

containerd holds the other end of a SEQPACKET pair (`-socket` is our descriptor, 3 by default). A request is a datagram: the
fields of `bootstrap.Request`, in order, each ended by a NUL, with a descriptor that takes the answer of `bootstrap.serve`.
Its end is ours.

Each page that this process writes after a fork becomes a copy of the child's own, as much as one that the child writes. So it
reads and forks, and leaves all else to the child.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket

from shim import bootstrap, linux

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

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
    # What is here now is nobody's garbage, and no collector's walk shall write into it.
    gc.freeze()
    # A containerd that is killed resets the channel.
    with contextlib.suppress(ConnectionError):
        while True:
            data, descriptors, _, _ = socket.recv_fds(channel, _LIMIT, 1, socket.MSG_CMSG_CLOEXEC)
            if not data:
                return
            if descriptors:
                if os.fork() == 0:
                    _serve(data, descriptors[0])
                os.close(descriptors[0])


def _serve(data: bytes, answer: int) -> None:
    fields = os.fsdecode(data).split("\0")
    bootstrap.serve(bootstrap.Request(*fields[:5]), answer)
