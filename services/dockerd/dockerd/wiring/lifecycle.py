"""What containers go through: starts, execs, ends, restarts, removals, and those who watch and wait."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dockerd.configuration.validation import seccomp_profile
from dockerd.containerd_client.tasks import Exited
from dockerd.containers.announce import Announcer
from dockerd.containers.attach import Attacher
from dockerd.containers.health import HealthMonitor
from dockerd.containers.image_mounts import ImageMounts
from dockerd.containers.remove import Remover
from dockerd.containers.restart_policy import Backoff
from dockerd.containers.rootfs import RootFilesystems
from dockerd.containers.runtime_spec import SpecWriter
from dockerd.containers.runtimes import Runtimes
from dockerd.containers.start import Starter
from dockerd.containers.stop import Stopper
from dockerd.containers.store import ContainerStore
from dockerd.containers.supervise import Supervisor
from dockerd.containers.teardown import Teardown
from dockerd.containers.tombstones import Tombstones
from dockerd.containers.wait import Waits
from dockerd.execs.probe import ProbeRunner
from dockerd.execs.records import ExecRecords
from dockerd.execs.service import ExecService
from dockerd.system.information import SystemService
from dockerd.wiring.ground import Ground
from dockerd.wiring.images import Images
from dockerd.wiring.system import meters
from dockerd.wiring.volumes import Volumes

if TYPE_CHECKING:
    from dockerd.metrics.meters import Meters


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """What the other verbs and the loop need of it."""

    announcer: Announcer
    rootfs: RootFilesystems
    image_mounts: ImageMounts
    attacher: Attacher
    stopper: Stopper
    starter: Starter
    remover: Remover
    health: HealthMonitor
    execs: ExecService
    waits: Waits
    supervisor: Supervisor
    meters: Meters | None


def assemble(
    ground: Ground,
    store: ContainerStore,
    images: Images,
    volumes: Volumes,
    system: SystemService,
    stack: contextlib.AsyncExitStack,
) -> Lifecycle:
    """What works in the background is closed by the stack."""
    config, tasks, networks = ground.config, ground.tasks, ground.networks
    announcer = Announcer(ground.events, networks)
    image_mounts = ImageMounts(tasks, images.store)
    rootfs = RootFilesystems(tasks, config.data_root)
    attacher = Attacher(store, announcer, ground.kept, config.exec_root)
    teardown = Teardown(tasks, networks, rootfs, volumes.use, announcer)
    backoff = Backoff()
    tombstones = Tombstones(config.exec_root)
    stopper = Stopper(store, tasks, announcer)
    execs = ExecService(
        store=store,
        tasks=tasks,
        rootfs=rootfs,
        attacher=attacher,
        events=ground.events,
        records=ExecRecords(config.exec_root),
    )
    execs.load()
    probes = ProbeRunner(tasks, rootfs, announcer)
    health = HealthMonitor(probes.run, announcer)
    measured = meters(system, health, ground.events) if config.metrics_address else None
    remover = Remover(
        store=store,
        tasks=tasks,
        volumes=volumes.catalog,
        image_mounts=image_mounts,
        stopper=stopper,
        teardown=teardown,
        attacher=attacher,
        announcer=announcer,
        backoff=backoff,
        tombstones=tombstones,
    )
    starter = Starter(
        store=store,
        tasks=tasks,
        networks=networks,
        volumes=volumes.catalog,
        volume_use=volumes.use,
        rootfs=rootfs,
        specs=SpecWriter(
            store,
            ground.init,
            seccomp_profile(config.seccomp_profile),
        ),
        attacher=attacher,
        teardown=teardown,
        remover=remover,
        announcer=announcer,
        health=health,
        owner=ground.daemon_id,
        runtimes=Runtimes(ground.live, config.data_root),
        on_start=partial(measured.took, "container_actions", "start") if measured else _nothing,
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
        volumes=volumes.catalog,
        image_mounts=image_mounts,
        on_exec_exit=_first(probes.exited, execs.exited),
        on_reconcile=_both(probes.reconcile, execs.reconcile),
    )
    waits = Waits(store, ground.kept, tombstones)
    for owner in (teardown, supervisor, health, execs, remover, stopper, waits):
        stack.push_async_callback(owner.close)
    return Lifecycle(
        announcer=announcer,
        rootfs=rootfs,
        image_mounts=image_mounts,
        attacher=attacher,
        stopper=stopper,
        starter=starter,
        remover=remover,
        health=health,
        execs=execs,
        waits=waits,
        supervisor=supervisor,
        meters=measured,
    )


def _nothing(_seconds: float) -> None:
    """Nobody measures."""


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
