"""The composition root: everything is made here, and closed in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import shutil
import signal
import socket
import sys
import uuid
from typing import Final
from urllib.parse import urlsplit

import uvicorn

from dockerd import app
from dockerd.api.deps import Services
from dockerd.api.hijack import HijackProtocol
from dockerd.config import Config
from dockerd.containerd_client.client import Containerd
from dockerd.containerd_client.tasks import Tasks
from dockerd.containers.service import ContainerService
from dockerd.containers.store import ContainerStore
from dockerd.containers.waits import PREFIX, Waits
from dockerd.events.bus import EventBus
from dockerd.execs.records import ExecRecords
from dockerd.execs.service import ExecService
from dockerd.fdstore import FdStore, inherited
from dockerd.images.store import ImageStore
from dockerd.networks.controller import NetworkController
from dockerd.networks.model import NetworkSettings
from dockerd.system.information import SystemService
from dockerd.volumes.store import VolumeStore
from wire import stacks
from wire.atomic import FileLock, write_atomic
from wire.errors import EngineError, InvalidArgument

logger = logging.getLogger(__name__)

_BACKLOG: Final = 4096
_PORT_PREFIX: Final = "port-"


async def serve(config: Config) -> None:
    """Run until SIGTERM or SIGINT; containers go on."""
    for directory in (config.data_root, config.exec_root):
        os.makedirs(directory, mode=0o711, exist_ok=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    stacks.dump_on_signal(loop)
    store = FdStore()
    given = inherited()
    async with contextlib.AsyncExitStack() as stack:
        lock = FileLock(os.path.join(config.data_root, "dockerd.lock"))
        lock.acquire()
        stack.callback(lock.release)
        if config.pidfile:
            write_atomic(config.pidfile, f"{os.getpid()}\n".encode(), 0o644)
        containerd = Containerd(config.containerd)
        stack.push_async_callback(containerd.close)
        networks = NetworkController(
            NetworkSettings(
                data_root=config.data_root,
                exec_root=config.exec_root,
                bridge=config.bridge,
                bip=config.bip,
            ),
            on_reserve=store.keep,
            on_release=store.drop,
        )
        await networks.open([each for each in given if each[0].startswith(_PORT_PREFIX)])
        stack.push_async_callback(networks.close)
        containers, execs, services = _services(config, containerd, networks, store)
        containers.store.load()
        stack.push_async_callback(containers.close)
        stack.push_async_callback(services.waits.close)
        execs.connect(containers)
        server = Server(
            uvicorn.Config(
                app.create(services),
                http=HijackProtocol,
                log_config=None,
                access_log=config.debug,
                lifespan="off",
                server_header=False,
                date_header=True,
                timeout_keep_alive=300,
            ),
            _listeners(config, [fd for name, fd in given if name == "docker.sock"]),
        )
        await server.begin()
        stack.push_async_callback(server.end)
        reconciling = loop.create_task(_reconcile(containers, networks, services.waits, given))
        # Without it the daemon would answer and know nothing: better a fresh start under the supervisor.
        reconciling.add_done_callback(lambda _: stop.set())
        stack.push_async_callback(_cancelled, reconciling)
        store.ready()
        logger.info("serving", extra={"hosts": ",".join(config.hosts)})
        await stop.wait()


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    (ended,) = await asyncio.gather(task, return_exceptions=True)
    if ended is not None and not isinstance(ended, asyncio.CancelledError):
        logger.critical("watching containers failed", exc_info=ended)


async def _reconcile(
    containers: ContainerService,
    networks: NetworkController,
    waits: Waits,
    given: list[tuple[str, int]],
) -> None:
    """Find the truth below, then go on watching it. The API answers meanwhile."""
    # First of all, so that a container that ended meanwhile completes them.
    for name, descriptor in given:
        if name.startswith(PREFIX):
            waits.resume(name, descriptor)
    while True:
        try:
            await containers.reconcile()
            break
        except EngineError as error:
            logger.warning("containerd is not there yet", extra={"error": str(error)})
            await asyncio.sleep(0.2)
    await networks.reconcile(containers.running_ids())
    containers.restart_wanted()
    await containers.watch()


def _services(
    config: Config, containerd: Containerd, networks: NetworkController, store: FdStore
) -> tuple[ContainerService, ExecService, Services]:
    tasks = Tasks(containerd)
    images = ImageStore(containerd, _scratch(config.data_root))
    events = EventBus()
    execs = ExecService(tasks, events, ExecRecords(config.exec_root))
    daemon_id = _daemon_id(config.data_root)
    containers = ContainerService(
        store=ContainerStore(config.data_root),
        tasks=tasks,
        images=images,
        volumes=VolumeStore(config.data_root),
        networks=networks,
        events=events,
        data_root=config.data_root,
        exec_root=config.exec_root,
        owner=daemon_id,
        init_path=_beside("dockyard-init"),
        runtimes=config.runtimes,
        on_exec_exit=execs.exited,
        on_reconcile=execs.reconcile,
    )
    services = Services(
        containers=containers,
        execs=execs,
        images=images,
        events=events,
        system=SystemService(config, daemon_id, containerd, containers, images),
        waits=Waits(containers, store),
    )
    return containers, execs, services


def _scratch(data_root: str) -> str:
    """A folder for uploads in progress, emptied at start."""
    path = os.path.join(data_root, "tmp")
    shutil.rmtree(path, ignore_errors=True)
    os.mkdir(path, 0o700)
    return path


def _beside(name: str) -> str:
    path = os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), name)
    return path if os.path.exists(path) else shutil.which(name) or path


def _daemon_id(data_root: str) -> str:
    path = os.path.join(data_root, "engine-id")
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        fresh = str(uuid.uuid4())
        write_atomic(path, fresh.encode())
        return fresh


def _listeners(config: Config, inherited_sockets: list[int]) -> list[socket.socket]:
    found = []
    for host in config.hosts:
        parts = urlsplit(host)
        if host == "fd://":
            found += [socket.socket(fileno=descriptor) for descriptor in inherited_sockets]
        elif parts.scheme == "unix":
            found.append(_unix(parts.path, config.group))
        elif parts.scheme == "tcp" and parts.port:
            logger.warning(
                "API listens on TCP without TLS: whoever reaches it is root", extra={"host": host}
            )
            listener = socket.create_server((parts.hostname or "", parts.port), backlog=_BACKLOG)
            found.append(listener)
        else:
            raise InvalidArgument(f"-H: invalid bind address ({host})")
    if not found:
        raise InvalidArgument(
            "no sockets found via socket activation: make sure the service was started by its supervisor"
        )
    return found


def _unix(path: str, group: str) -> socket.socket:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o117)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    with contextlib.suppress(KeyError):
        os.chown(path, 0, grp.getgrnam(group).gr_gid)
    listener.listen(_BACKLOG)
    return listener


class Server(uvicorn.Server):
    """uvicorn on several listeners, without its main loop and its signal handlers."""

    def __init__(self, config: uvicorn.Config, listeners: list[socket.socket]) -> None:
        super().__init__(config)
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
