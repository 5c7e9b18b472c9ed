"""Runs a function in a forked child with a network and a mount namespace of its own: the host stays as it is."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Awaitable, Callable

from dockerd.linux import mounts, namespaces


def run_isolated(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run an async scenario in fresh namespaces; raises AssertionError with the child's traceback."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            namespaces.unshare(namespaces.CLONE_NEWNET | namespaces.CLONE_NEWNS)
            mounts.mount("none", "/", None, mounts.MS_REC | mounts.MS_PRIVATE)
            os.system("ip link set lo up")
            asyncio.run(scenario())
            status = 0
        except BaseException:
            os.write(writer, traceback.format_exc().encode())
        finally:
            sys.stdout.flush()
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        failure = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    assert status == 0, failure or f"the child ended with status {status}"
