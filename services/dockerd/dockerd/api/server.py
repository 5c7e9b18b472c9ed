"""uvicorn on several listeners, without its main loop and its signal handlers."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl

import uvicorn
from starlette.types import ASGIApp

from dockerd.api.access import Masking
from dockerd.api.hijack import HijackProtocol
from dockerd.api.tls import SecureProtocol
from dockerd.api.underway import UnderWay

logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Serves an application for as long as its owner wants."""

    def __init__(
        self,
        app: ASGIApp,
        listeners: list[socket.socket],
        *,
        requests: UnderWay,
        secured: ssl.SSLContext | None,
        access_log: bool,
    ) -> None:
        """``secured`` is for every listener of TCP."""
        super().__init__(
            uvicorn.Config(
                app,
                http=HijackProtocol,
                log_config=None,
                access_log=access_log,
                lifespan="off",
                server_header=False,
                # Nobody stands before us: an X-Forwarded-For is the client's invention.
                proxy_headers=False,
                date_header=True,
                timeout_keep_alive=300,
            )
        )
        self._listeners = listeners
        self._secured = secured
        self._requests = requests

    async def begin(self) -> None:
        """Listen."""
        self.config.load()
        access = logging.getLogger("uvicorn.access")
        if not access.filters:
            access.addFilter(Masking())
        self.lifespan = self.config.lifespan_class(self.config)
        loop = asyncio.get_running_loop()

        secured = self._secured

        def plain() -> asyncio.Protocol:
            return HijackProtocol(config=self.config, server_state=self.server_state, app_state={})

        def tls() -> asyncio.Protocol:
            assert secured is not None
            return SecureProtocol(secured, plain)

        self.servers = [
            await loop.create_server(
                plain if secured is None or each.family == socket.AF_UNIX else tls, sock=each
            )
            for each in self._listeners
        ]

    async def end(self, patience: int) -> None:
        """Stop listening, and wait so many seconds, negative for ever, for what is not answered yet.

        The supervisor keeps the listeners: who connects now waits for the next daemon.
        """
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if not await self._requests.finish(None if patience < 0 else patience):
            logger.error("requests under way are given up", extra={"seconds": patience})
