"""The whole daemon above containerd and the networks, from the subsystems' files beside this one."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dockerd.api.deps import Services
from dockerd.api.websocket.tunnels import Tunnels
from dockerd.authorization.chain import Authorization
from dockerd.configuration.command_line import CommandLine
from dockerd.containers.archive import Archiver
from dockerd.containers.changes import Differ
from dockerd.containers.commit import ContainerCommitter
from dockerd.containers.connect import Connector
from dockerd.containers.create import Creator
from dockerd.containers.filesystem import Filesystems
from dockerd.containers.inspect import Inspector
from dockerd.containers.list import Lister
from dockerd.containers.logs import LogReader
from dockerd.containers.pause import Pauser
from dockerd.containers.prune import Pruner
from dockerd.containers.rename import Renamer
from dockerd.containers.resize import Resizer
from dockerd.containers.restart import Restarter
from dockerd.containers.stats import StatsReader
from dockerd.containers.store import ContainerStore
from dockerd.containers.top import ProcessLister
from dockerd.containers.update import Updater
from dockerd.linux.inotify import Directories
from dockerd.networks.service import NetworkService
from dockerd.reload import Reloader
from dockerd.system.disk_usage import DiskUsage
from dockerd.system.information import SystemService
from dockerd.wiring import images, lifecycle, system, volumes
from dockerd.wiring.ground import Ground
from dockerd.wiring.images import Images
from dockerd.wiring.lifecycle import Lifecycle
from dockerd.wiring.volumes import Volumes

if TYPE_CHECKING:
    from dockerd.metrics.meters import Meters


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """What the loop needs of it."""

    services: Services
    reloader: Reloader
    authorization: Authorization
    containers: ContainerStore
    volumes: Volumes
    life: Lifecycle

    @property
    def meters(self) -> Meters | None:
        """None while nobody measures."""
        return self.life.meters


def assemble(ground: Ground, line: CommandLine, stack: contextlib.AsyncExitStack) -> Daemon:
    """Everything; what needs closing is pushed onto the stack."""
    store = ContainerStore(ground.config.data_root)
    store.load()
    image = images.assemble(ground)
    volume = volumes.assemble(ground, store, stack)
    about = system.service(ground, store, image, volume)
    life = lifecycle.assemble(ground, store, image, volume, about, stack)
    authorization = Authorization(ground.plugins, ground.live)
    return Daemon(
        services=_services(ground, store, image, volume, about, life, stack),
        reloader=system.reloader(ground, line, image, authorization, stack),
        authorization=authorization,
        containers=store,
        volumes=volume,
        life=life,
    )


def _services(
    ground: Ground,
    store: ContainerStore,
    images: Images,
    volumes: Volumes,
    system: SystemService,
    life: Lifecycle,
    stack: contextlib.AsyncExitStack,
) -> Services:
    """What the API's routes may use."""
    tasks, networks, announcer = ground.tasks, ground.networks, life.announcer
    directories = Directories()
    stack.callback(directories.close)
    websockets = Tunnels()
    stack.push_async_callback(websockets.close)
    lister = Lister(store, networks, images.store, life.rootfs)
    return Services(
        containers=store,
        creator=Creator(
            store=store,
            tasks=tasks,
            images=images.store,
            volumes=volumes.catalog,
            image_mounts=life.image_mounts,
            announcer=announcer,
            config=ground.live,
        ),
        starter=life.starter,
        stopper=life.stopper,
        restarter=Restarter(store, life.stopper, life.starter, announcer),
        pauser=Pauser(store, tasks, announcer, life.health),
        renamer=Renamer(store, networks, announcer),
        resizer=Resizer(store, tasks),
        updater=Updater(store, tasks, announcer),
        remover=life.remover,
        pruner=Pruner(store, life.rootfs, life.remover),
        lister=lister,
        inspector=Inspector(store, networks, life.rootfs, images.store, life.execs.running_in),
        processes=ProcessLister(store, tasks, announcer),
        logs=LogReader(store, directories),
        stats=StatsReader(store),
        attacher=life.attacher,
        websockets=websockets,
        archiver=Archiver(store, Filesystems(life.rootfs, volumes.use), announcer, ground.scratch),
        committer=ContainerCommitter(store, tasks, images.store, images.committer, announcer),
        differ=Differ(store, life.rootfs, ground.scratch),
        waits=life.waits,
        execs=life.execs,
        image_lister=images.lister,
        image_inspector=images.inspector,
        image_remover=images.remover,
        image_pruner=images.pruner,
        puller=images.puller,
        pusher=images.pusher,
        loader=images.loader,
        saver=images.saver,
        tagger=images.tagger,
        login=images.login,
        searcher=images.searcher,
        distribution=images.distribution,
        volumes=volumes.service,
        networks=NetworkService(networks, ground.events, ground.config.network_options),
        connector=Connector(store, networks, announcer),
        events=ground.events,
        system=system,
        disk_usage=DiskUsage(store, lister, images.store, volumes.service),
    )
