"""uvicorn on several listeners, without its main loop and its signal handlers."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from fastapi import FastAPI

from dockerd.api.hijack import HijackProtocol


class Server(uvicorn.Server):
    """Serves an application for as long as its owner wants."""

    def __init__(self, app: FastAPI, listeners: list[socket.socket], *, access_log: bool) -> None:
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

    async def begin(self) -> None:
        """Listen."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        loop = asyncio.get_running_loop()

        def protocol() -> asyncio.Protocol:
            return HijackProtocol(config=self.config, server_state=self.server_state, app_state={})

        self.servers = [await loop.create_server(protocol, sock=each) for each in self._listeners]

    async def end(self) -> None:
        """Stop listening and let go of the connections; the supervisor keeps the listeners."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
