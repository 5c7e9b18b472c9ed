"""Spans of shims and runtimes: they send each as a datagram, which costs them one system call, and we export it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator
from typing import Any, Final

from wire import tracing
from wire.addresses import ensure_dir, short_dir
from wire.otlp import Exporter

_FIELDS: Final = {
    "service": str, "trace": str, "span": str, "parent": str, "name": str, "kind": int, "start": int, "end": int,
    "attributes": dict, "error": str,
}  # fmt: skip
_BUFFER: Final = 1 << 20


@contextlib.asynccontextmanager
async def gathering(exporter: Exporter | None, state: str) -> AsyncIterator[None]:
    """Listen during the block, and have every process that is started meanwhile know where. Nothing without an exporter."""
    # Not one that we inherited.
    os.environ.pop(tracing.SOCKET_VARIABLE, None)
    if exporter is None:
        yield
        return
    path = f"{ensure_dir(short_dir(state))}/spans.sock"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Spans(exporter), sock=listener)
    os.environ[tracing.SOCKET_VARIABLE] = path
    try:
        yield
    finally:
        del os.environ[tracing.SOCKET_VARIABLE]
        transport.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


class _Spans(asyncio.DatagramProtocol):
    def __init__(self, exporter: Exporter) -> None:
        self._exporter = exporter

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """One span; what is none is dropped."""
        del addr
        with contextlib.suppress(ValueError):
            found = json.loads(data)
            if isinstance(found, dict) and all(
                isinstance(found.get(name), kind) for name, kind in _FIELDS.items()
            ):
                self._exporter.add({name: found[name] for name in _FIELDS})
