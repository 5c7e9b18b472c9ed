"""The daemon itself: what it tells of itself, how it is measured, and how its configuration changes while it runs."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from dockerd import listeners
from dockerd.api.server import Server
from dockerd.api.underway import UnderWay
from dockerd.authorization.chain import Authorization
from dockerd.configuration.command_line import CommandLine
from dockerd.containers.health import HealthMonitor
from dockerd.containers.store import ContainerStore
from dockerd.events.bus import EventBus
from dockerd.reload import Reloader
from dockerd.system.information import SystemService
from dockerd.wiring.ground import Ground
from dockerd.wiring.images import Images
from dockerd.wiring.volumes import Volumes

if TYPE_CHECKING:
    from dockerd.metrics.meters import Meters

logger = logging.getLogger(__name__)


def service(
    ground: Ground, containers: ContainerStore, images: Images, volumes: Volumes
) -> SystemService:
    """What `info` and `version` tell."""
    return SystemService(
        ground.live,
        ground.daemon_id,
        ground.containerd,
        containers,
        images.store,
        images.registries,
        ground.events,
        volumes.service.driver_names,
        runtime=ground.runtime,
        init=ground.init,
    )


def reloader(
    ground: Ground,
    line: CommandLine,
    images: Images,
    authorization: Authorization,
    stack: contextlib.AsyncExitStack,
) -> Reloader:
    """What reads the configuration again; ``line`` goes before the file each time."""
    found = Reloader(
        line=line,
        config=ground.live,
        registries=images.registries,
        events=ground.events,
        daemon_id=ground.daemon_id,
        authorization=authorization,
    )
    stack.push_async_callback(found.close)
    return found


def meters(system: SystemService, health: HealthMonitor, events: EventBus) -> Meters:
    """What is measured, for who scrapes it."""
    # Few daemons are measured, and the library is large.
    from dockerd.metrics.meters import Meters, Sources

    found = Meters(
        Sources(
            states=system.states,
            health_checks=lambda: (health.made, health.failed),
            events=lambda: (events.published, events.listening),
        )
    )
    found.describe(system.host())
    return found


async def serve_metrics(meters: Meters, address: str, stack: contextlib.AsyncExitStack) -> None:
    """Listen at `--metrics-addr`."""
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
