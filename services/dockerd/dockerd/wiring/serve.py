"""The daemon's life: what is begun in which order, and what then goes on until a signal comes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import ssl
from typing import Final

from dockerd import app, listeners, pidfile
from dockerd.api.server import Server
from dockerd.api.underway import UnderWay
from dockerd.config import Config, LiveConfig
from dockerd.configuration.command_line import CommandLine
from dockerd.containerd_client.client import Containerd
from dockerd.fdstore import FdStore, inherited
from dockerd.networks.controller import NetworkController
from dockerd.wiring import daemon as assembly
from dockerd.wiring import ground, networks, system
from dockerd.wiring.daemon import Daemon
from wire import otlp, stacks
from wire.atomic import FileLock
from wire.errors import EngineError

logger = logging.getLogger(__name__)

_CONTAINERD_PAUSE: Final = 0.2


async def serve(line: CommandLine, config: Config, secured: ssl.SSLContext | None) -> None:
    """Run until SIGTERM or SIGINT; containers go on. ``line`` is read again with each SIGHUP."""
    for directory in (config.data_root, config.exec_root):
        os.makedirs(directory, mode=0o711, exist_ok=True)
    # Containers' files lie below it, programs of root among them that set their user (CVE-2021-41091).
    os.chmod(config.data_root, 0o710)  # noqa: S103 - less than others have otherwise
    stop, hurry = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        # Who asks twice does not want to wait.
        (hurry if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signalled)
    stacks.dump_on_signal(loop)
    kept = FdStore()
    given = inherited()
    async with contextlib.AsyncExitStack() as stack:
        lock = FileLock(os.path.join(config.data_root, "dockerd.lock"))
        lock.acquire()
        stack.callback(lock.release)
        stack.enter_context(otlp.exporting("dockerd"))
        if config.pidfile:
            stack.enter_context(pidfile.held(config.pidfile))
        containerd = Containerd(config.containerd, config.containerd_namespace)
        stack.push_async_callback(containerd.close)
        controller = networks.controller(config, kept)
        await controller.open([each for each in given if each[0].startswith(networks.PORT_PREFIX)])
        stack.push_async_callback(controller.close)
        live = LiveConfig(config)
        below = ground.lay(live, containerd, controller, kept, stack)
        daemon = assembly.assemble(below, line, stack)
        await daemon.authorization.check(config.authorization_plugins)
        requests = UnderWay()
        if daemon.meters is not None:
            await system.serve_metrics(daemon.meters, config.metrics_address, stack)
        server = Server(
            app.create(daemon.services, live, requests, daemon.authorization, daemon.meters),
            listeners.opened(config, listeners.listening(fd for _, fd in given)),
            requests=requests,
            secured=secured,
            access_log=config.debug,
        )
        # Before anybody asks for anything, so that a start finds the clients that wait for it.
        daemon.life.waits.resume_all(given)
        daemon.life.attacher.resume_all(given)
        await server.begin()
        reconciling = loop.create_task(_reconcile(daemon, controller))
        # Without it the daemon would answer and know nothing: better a fresh start under the supervisor.
        reconciling.add_done_callback(lambda _: stop.set())
        stack.push_async_callback(_cancelled, reconciling)
        # First, while the ends of containers are still heard of: requests wait for them.
        stack.push_async_callback(_end, server, live, hurry)
        # What is alive now lives for ever: the collector need not look at it again and again.
        gc.freeze()
        loop.add_signal_handler(signal.SIGHUP, daemon.reloader.begin)
        kept.ready()
        logger.info("serving", extra={"hosts": ",".join(config.hosts)})
        await stop.wait()


async def _end(server: Server, config: LiveConfig, hurry: asyncio.Event) -> None:
    ending = asyncio.ensure_future(server.end(config.current.shutdown_timeout))
    hurrying = asyncio.ensure_future(hurry.wait())
    await asyncio.wait((ending, hurrying), return_when=asyncio.FIRST_COMPLETED)
    for each in (ending, hurrying):
        each.cancel()
    await asyncio.gather(ending, hurrying, return_exceptions=True)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    (ended,) = await asyncio.gather(task, return_exceptions=True)
    if ended is not None and not isinstance(ended, asyncio.CancelledError):
        logger.critical("watching containers failed", exc_info=ended)


async def _reconcile(daemon: Daemon, networks: NetworkController) -> None:
    """Find the truth below, then go on watching it. The API answers meanwhile."""
    while True:
        try:
            await daemon.life.supervisor.reconcile()
            break
        except EngineError as error:
            logger.warning("containerd is not there yet", extra={"error": str(error)})
            await asyncio.sleep(_CONTAINERD_PAUSE)
    await daemon.life.supervisor.sweep()
    await networks.reconcile(daemon.containers.running_ids())
    daemon.life.supervisor.start_wanted()
    running = daemon.containers.running_ids
    # Beside the watching: a plugin may be slow.
    async with asyncio.TaskGroup() as group:
        group.create_task(daemon.volumes.mounter.reconcile(lambda holder: holder in running()))
        await daemon.life.supervisor.watch()
