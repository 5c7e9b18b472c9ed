"""Volumes: their records, drivers, and who has which mounted."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from dockerd.containers.store import ContainerStore
from dockerd.containers.volume_use import VolumeUse
from dockerd.volumes.catalog import Catalog
from dockerd.volumes.drivers import Drivers
from dockerd.volumes.ledger import Ledger
from dockerd.volumes.local import LocalDriver
from dockerd.volumes.mounter import Mounter
from dockerd.volumes.service import VolumeService
from dockerd.volumes.store import VolumeStore
from dockerd.wiring.ground import Ground


@dataclass(frozen=True, slots=True, kw_only=True)
class Volumes:
    """What containers and the API need of volumes."""

    catalog: Catalog
    mounter: Mounter
    use: VolumeUse
    service: VolumeService


def assemble(
    ground: Ground, containers: ContainerStore, stack: contextlib.AsyncExitStack
) -> Volumes:
    """A volume is used by what ``containers`` say."""
    store = VolumeStore(ground.config.data_root)
    drivers = Drivers(LocalDriver(store), ground.plugins)
    catalog = Catalog(store, drivers, containers.users_of_volume, ground.events)
    mounter = Mounter(store, drivers, Ledger(f"{ground.config.exec_root}/volumes"))
    use = VolumeUse(mounter, ground.events)
    stack.push_async_callback(use.close)
    return Volumes(
        catalog=catalog,
        mounter=mounter,
        use=use,
        service=VolumeService(catalog, drivers, ground.events),
    )
