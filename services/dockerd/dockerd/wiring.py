"""The composition root: everything is made here, and closed in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import shutil
import signal
import ssl
import sys
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from dockerd import app, listeners, pidfile
from dockerd.api.deps import Services
from dockerd.api.server import Server
from dockerd.api.underway import UnderWay
from dockerd.api.websocket.tunnels import Tunnels
from dockerd.authorization.chain import Authorization
from dockerd.config import Config, LiveConfig
from dockerd.configuration.command_line import CommandLine
from dockerd.configuration.validation import seccomp_profile
from dockerd.containerd_client.client import Containerd
from dockerd.containerd_client.tasks import Exited, Tasks
from dockerd.containers.announce import Announcer
from dockerd.containers.archive import Archiver
from dockerd.containers.attach import Attacher
from dockerd.containers.changes import Differ
from dockerd.containers.commit import ContainerCommitter
from dockerd.containers.connect import Connector
from dockerd.containers.create import Creator
from dockerd.containers.filesystem import Filesystems
from dockerd.containers.health import HealthMonitor
from dockerd.containers.image_mounts import ImageMounts
from dockerd.containers.inspect import Inspector
from dockerd.containers.list import Lister
from dockerd.containers.logs import LogReader
from dockerd.containers.pause import Pauser
from dockerd.containers.prune import Pruner
from dockerd.containers.remove import Remover
from dockerd.containers.rename import Renamer
from dockerd.containers.resize import Resizer
from dockerd.containers.restart import Restarter
from dockerd.containers.restart_policy import Backoff
from dockerd.containers.rootfs import RootFilesystems
from dockerd.containers.runtime_spec import SpecWriter
from dockerd.containers.runtimes import Runtimes
from dockerd.containers.start import Starter
from dockerd.containers.stats import StatsReader
from dockerd.containers.stop import Stopper
from dockerd.containers.store import ContainerStore
from dockerd.containers.supervise import Supervisor
from dockerd.containers.teardown import Teardown
from dockerd.containers.tombstones import Tombstones
from dockerd.containers.top import ProcessLister
from dockerd.containers.update import Updater
from dockerd.containers.volume_use import VolumeUse
from dockerd.containers.wait import Waits
from dockerd.events.bus import EventBus
from dockerd.execs.probe import ProbeRunner
from dockerd.execs.records import ExecRecords
from dockerd.execs.service import ExecService
from dockerd.fdstore import FdStore, inherited
from dockerd.images.commit import Committer
from dockerd.images.distribution import DistributionInspector
from dockerd.images.documents import Documents
from dockerd.images.inspect import Inspector as ImageInspector
from dockerd.images.layers import LayerStore
from dockerd.images.list import Lister as ImageLister
from dockerd.images.load import Loader
from dockerd.images.login import Login
from dockerd.images.manifests import Manifests
from dockerd.images.prune import Pruner as ImagePruner
from dockerd.images.pull import Puller
from dockerd.images.push import Pusher
from dockerd.images.registries import RegistryHosts, parse_settings
from dockerd.images.remote import Remotes
from dockerd.images.remove import Remover as ImageRemover
from dockerd.images.repositories import Repositories
from dockerd.images.save import Saver
from dockerd.images.search import Searcher
from dockerd.images.store import ImageStore
from dockerd.images.tag import Tagger
from dockerd.images.transfer import Transfers
from dockerd.linux.inotify import Directories
from dockerd.networks.controller import NetworkController
from dockerd.networks.model import NetworkSettings
from dockerd.networks.service import NetworkService
from dockerd.plugins.activation import Plugins
from dockerd.plugins.address import Directory
from dockerd.reload import Reloader
from dockerd.system.disk_usage import DiskUsage
from dockerd.system.information import SystemService
from dockerd.volumes.catalog import Catalog
from dockerd.volumes.drivers import Drivers
from dockerd.volumes.ledger import Ledger
from dockerd.volumes.local import LocalDriver
from dockerd.volumes.mounter import Mounter
from dockerd.volumes.service import VolumeService
from dockerd.volumes.store import VolumeStore
from wire import otlp, stacks
from wire.atomic import FileLock, write_atomic
from wire.errors import EngineError

if TYPE_CHECKING:
    from dockerd.metrics.meters import Meters

logger = logging.getLogger(__name__)

_PORT_PREFIX: Final = "port-"
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
        networks = _networks(config, kept)
        await networks.open([each for each in given if each[0].startswith(_PORT_PREFIX)])
        stack.push_async_callback(networks.close)
        live = LiveConfig(config)
        daemon = _assemble(live, line, containerd, networks, kept, stack)
        await daemon.authorization.check(config.authorization_plugins)
        requests = UnderWay()
        if daemon.meters is not None:
            await _serve_metrics(daemon.meters, config.metrics_address, stack)
        server = Server(
            app.create(daemon.services, live, requests, daemon.authorization, daemon.meters),
            listeners.opened(config, listeners.listening(fd for _, fd in given)),
            requests=requests,
            secured=secured,
            access_log=config.debug,
        )
        # Before anybody asks for anything, so that a start finds the clients that wait for it.
        daemon.waits.resume_all(given)
        daemon.attacher.resume_all(given)
        await server.begin()
        reconciling = loop.create_task(_reconcile(daemon, networks))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Daemon:
    """What the loop of this module needs."""

    services: Services
    reloader: Reloader
    authorization: Authorization
    meters: Meters | None
    supervisor: Supervisor
    waits: Waits
    attacher: Attacher
    containers: ContainerStore
    mounter: Mounter


async def _reconcile(daemon: _Daemon, networks: NetworkController) -> None:
    """Find the truth below, then go on watching it. The API answers meanwhile."""
    while True:
        try:
            await daemon.supervisor.reconcile()
            break
        except EngineError as error:
            logger.warning("containerd is not there yet", extra={"error": str(error)})
            await asyncio.sleep(_CONTAINERD_PAUSE)
    await daemon.supervisor.sweep()
    await networks.reconcile(daemon.containers.running_ids())
    daemon.supervisor.start_wanted()
    running = daemon.containers.running_ids
    # Beside the watching: a plugin may be slow.
    async with asyncio.TaskGroup() as group:
        group.create_task(daemon.mounter.reconcile(lambda holder: holder in running()))
        await daemon.supervisor.watch()


def _meters(system: SystemService, health: HealthMonitor, events: EventBus) -> Meters:
    # Few daemons are measured, and the library is large.
    from dockerd.metrics.meters import Meters, Sources

    meters = Meters(
        Sources(
            states=system.states,
            health_checks=lambda: (health.made, health.failed),
            events=lambda: (events.published, events.listening),
        )
    )
    meters.describe(system.host())
    return meters


async def _serve_metrics(meters: Meters, address: str, stack: contextlib.AsyncExitStack) -> None:
    from dockerd.api.metering import MetricsApplication

    server = Server(
        MetricsApplication(meters),
        [listeners.tcp(address)],
        requests=UnderWay(),
        secured=None,
        access_log=False,
    )
    await server.begin()
    stack.push_async_callback(server.end, 0)
    logger.info("metrics API listening", extra={"address": address})


def _nothing(_seconds: float) -> None:
    """Nobody measures."""


def _networks(config: Config, kept: FdStore) -> NetworkController:
    settings = NetworkSettings(
        data_root=config.data_root,
        exec_root=config.exec_root,
        bridge=config.bridge,
        bip=config.bip,
        fixed_cidr=config.fixed_cidr,
        ipv6=config.ipv6,
        bip6=config.bip6,
        fixed_cidr_v6=config.fixed_cidr_v6,
        mtu=config.mtu,
        enable_icc=config.icc,
        enable_ip_masquerade=config.ip_masq,
        enable_ip_forward=config.ip_forward,
        default_host_ip=config.default_host_ip,
        userland_proxy=config.userland_proxy,
        dns=config.dns,
        dns_search=config.dns_search,
        dns_options=config.dns_options,
        host_gateway=config.host_gateway,
        address_pools=config.address_pools,
        engine_id=_daemon_id(config.data_root),
    )
    return NetworkController(settings, on_reserve=kept.hold, on_release=kept.drop)


def _assemble(
    live: LiveConfig,
    line: CommandLine,
    containerd: Containerd,
    networks: NetworkController,
    kept: FdStore,
    stack: contextlib.AsyncExitStack,
) -> _Daemon:
    """Everything above containerd and the networks; what needs closing is pushed onto the stack."""
    config = live.current
    plugins = Plugins(Directory(f"{config.exec_root}/plugins"))
    tasks = Tasks(containerd)
    events = EventBus(os.path.join(config.data_root, "events.jsonl"))
    stack.callback(events.close)
    layers = LayerStore(containerd)
    documents = Documents(containerd)
    images = ImageStore(containerd, documents, layers)
    manifests = Manifests(containerd, documents, layers)
    transfers = Transfers(containerd, f"{config.exec_root}/pipes", live)
    registry_settings = parse_settings(config.registry_mirrors, config.insecure_registries)
    registries = RegistryHosts(registry_settings, f"{config.exec_root}/hosts.d")
    store = ContainerStore(config.data_root)
    store.load()
    volume_store = VolumeStore(config.data_root)
    drivers = Drivers(LocalDriver(volume_store), plugins)
    volumes = Catalog(volume_store, drivers, store.users_of_volume, events)
    mounter = Mounter(volume_store, drivers, Ledger(f"{config.exec_root}/volumes"))
    volume_use = VolumeUse(mounter, events)
    directories = Directories()
    stack.callback(directories.close)
    image_mounts = ImageMounts(tasks, images)
    daemon_id = _daemon_id(config.data_root)
    announcer = Announcer(events, networks)
    rootfs = RootFilesystems(tasks, config.data_root)
    attacher = Attacher(store, announcer, kept, config.exec_root)
    teardown = Teardown(tasks, networks, rootfs, volume_use, announcer)
    backoff = Backoff()
    tombstones = Tombstones(config.exec_root)
    stopper = Stopper(store, tasks, announcer)
    execs = ExecService(
        store=store,
        tasks=tasks,
        rootfs=rootfs,
        attacher=attacher,
        events=events,
        records=ExecRecords(config.exec_root),
    )
    execs.load()
    probes = ProbeRunner(tasks, rootfs, announcer)
    health = HealthMonitor(probes.run, announcer)
    remover = Remover(
        store=store,
        tasks=tasks,
        volumes=volumes,
        image_mounts=image_mounts,
        stopper=stopper,
        teardown=teardown,
        attacher=attacher,
        announcer=announcer,
        backoff=backoff,
        tombstones=tombstones,
    )
    volume_service = VolumeService(volumes, drivers, events)
    init = config.init_path or _beside("dockyard-init")
    system = SystemService(
        live,
        daemon_id,
        containerd,
        store,
        images,
        registries,
        events,
        volume_service.driver_names,
        runtime=_beside("dockyard-runtime"),
        init=init,
    )
    meters = _meters(system, health, events) if config.metrics_address else None
    starter = Starter(
        store=store,
        tasks=tasks,
        networks=networks,
        volumes=volumes,
        volume_use=volume_use,
        rootfs=rootfs,
        specs=SpecWriter(
            store,
            init,
            seccomp_profile(config.seccomp_profile),
        ),
        attacher=attacher,
        teardown=teardown,
        remover=remover,
        announcer=announcer,
        health=health,
        owner=daemon_id,
        runtimes=Runtimes(live, config.data_root),
        on_start=partial(meters.took, "container_actions", "start") if meters else _nothing,
    )
    supervisor = Supervisor(
        store=store,
        tasks=tasks,
        starter=starter,
        remover=remover,
        teardown=teardown,
        announcer=announcer,
        backoff=backoff,
        health=health,
        volumes=volumes,
        image_mounts=image_mounts,
        on_exec_exit=_first(probes.exited, execs.exited),
        on_reconcile=_both(probes.reconcile, execs.reconcile),
    )
    repositories = Repositories(registries)
    remotes = Remotes(transfers, registries)
    waits = Waits(store, kept, tombstones)
    image_remover = ImageRemover(images, events)
    scratch = _scratch(config.data_root)
    for owner in (volume_use, teardown, supervisor, health, execs, remover, stopper, waits):
        stack.push_async_callback(owner.close)
    lister = Lister(store, networks, images, rootfs)
    websockets = Tunnels()
    stack.push_async_callback(websockets.close)
    services = Services(
        containers=store,
        creator=Creator(
            store=store,
            tasks=tasks,
            images=images,
            volumes=volumes,
            image_mounts=image_mounts,
            announcer=announcer,
            config=live,
        ),
        starter=starter,
        stopper=stopper,
        restarter=Restarter(store, stopper, starter, announcer),
        pauser=Pauser(store, tasks, announcer, health),
        renamer=Renamer(store, networks, announcer),
        resizer=Resizer(store, tasks),
        updater=Updater(store, tasks, announcer),
        remover=remover,
        pruner=Pruner(store, rootfs, remover),
        lister=lister,
        inspector=Inspector(store, networks, rootfs, images, execs.running_in),
        processes=ProcessLister(store, tasks, announcer),
        logs=LogReader(store, directories),
        stats=StatsReader(store),
        attacher=attacher,
        websockets=websockets,
        archiver=Archiver(store, Filesystems(rootfs, volume_use), announcer, scratch),
        committer=ContainerCommitter(
            store, tasks, images, Committer(containerd, images), announcer
        ),
        differ=Differ(store, rootfs, scratch),
        waits=waits,
        execs=execs,
        image_lister=ImageLister(images, manifests),
        image_inspector=ImageInspector(images, layers, manifests),
        image_remover=image_remover,
        image_pruner=ImagePruner(images, image_remover),
        puller=Puller(remotes, repositories, images, events),
        pusher=Pusher(images, remotes, events),
        loader=Loader(transfers, images, events, scratch),
        saver=Saver(images, transfers),
        tagger=Tagger(images, events),
        login=Login(repositories),
        searcher=Searcher(repositories),
        distribution=DistributionInspector(repositories),
        volumes=volume_service,
        networks=NetworkService(networks, events, config.network_options),
        connector=Connector(store, networks, announcer),
        events=events,
        system=system,
        disk_usage=DiskUsage(store, lister, images, volume_service),
    )
    authorization = Authorization(plugins, live)
    reloader = Reloader(
        line=line,
        config=live,
        registries=registries,
        events=events,
        daemon_id=daemon_id,
        authorization=authorization,
    )
    stack.push_async_callback(reloader.close)
    return _Daemon(
        services=services,
        reloader=reloader,
        authorization=authorization,
        meters=meters,
        supervisor=supervisor,
        waits=waits,
        attacher=attacher,
        containers=store,
        mounter=mounter,
    )


def _first(
    probe: Callable[[str, Exited], bool], other: Callable[[str, str, Exited], None]
) -> Callable[[str, str, Exited], None]:
    """The end of an exec is a probe's, or one that a client made."""

    def exited(container_id: str, exec_id: str, ended: Exited) -> None:
        if not probe(exec_id, ended):
            other(container_id, exec_id, ended)

    return exited


def _both(*steps: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        for step in steps:
            await step()

    return run


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
