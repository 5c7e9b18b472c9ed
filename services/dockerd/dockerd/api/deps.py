"""What routes may use: the services of the daemon, put into the application by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from dockerd.api.websocket.tunnels import Tunnels
from dockerd.containers.archive import Archiver
from dockerd.containers.attach import Attacher
from dockerd.containers.changes import Differ
from dockerd.containers.commit import ContainerCommitter
from dockerd.containers.connect import Connector
from dockerd.containers.create import Creator
from dockerd.containers.inspect import Inspector
from dockerd.containers.list import Lister
from dockerd.containers.logs import LogReader
from dockerd.containers.pause import Pauser
from dockerd.containers.prune import Pruner
from dockerd.containers.remove import Remover
from dockerd.containers.rename import Renamer
from dockerd.containers.resize import Resizer
from dockerd.containers.restart import Restarter
from dockerd.containers.start import Starter
from dockerd.containers.stats import StatsReader
from dockerd.containers.stop import Stopper
from dockerd.containers.store import ContainerStore
from dockerd.containers.top import ProcessLister
from dockerd.containers.update import Updater
from dockerd.containers.wait import Waits
from dockerd.events.bus import EventBus
from dockerd.execs.service import ExecService
from dockerd.images.distribution import DistributionInspector
from dockerd.images.inspect import Inspector as ImageInspector
from dockerd.images.list import Lister as ImageLister
from dockerd.images.load import Loader
from dockerd.images.login import Login
from dockerd.images.prune import Pruner as ImagePruner
from dockerd.images.pull import Puller
from dockerd.images.push import Pusher
from dockerd.images.remove import Remover as ImageRemover
from dockerd.images.save import Saver
from dockerd.images.search import Searcher
from dockerd.images.tag import Tagger
from dockerd.networks.service import NetworkService
from dockerd.system.disk_usage import DiskUsage
from dockerd.system.information import SystemService
from dockerd.volumes.service import VolumeService


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything, for this module alone."""

    containers: ContainerStore
    creator: Creator
    starter: Starter
    stopper: Stopper
    restarter: Restarter
    pauser: Pauser
    renamer: Renamer
    resizer: Resizer
    updater: Updater
    remover: Remover
    pruner: Pruner
    lister: Lister
    inspector: Inspector
    processes: ProcessLister
    logs: LogReader
    stats: StatsReader
    attacher: Attacher
    websockets: Tunnels
    archiver: Archiver
    committer: ContainerCommitter
    differ: Differ
    waits: Waits
    execs: ExecService
    image_lister: ImageLister
    image_inspector: ImageInspector
    image_remover: ImageRemover
    image_pruner: ImagePruner
    puller: Puller
    pusher: Pusher
    loader: Loader
    saver: Saver
    tagger: Tagger
    login: Login
    searcher: Searcher
    distribution: DistributionInspector
    volumes: VolumeService
    networks: NetworkService
    connector: Connector
    events: EventBus
    system: SystemService
    disk_usage: DiskUsage


def _service(name: str) -> Any:
    # Not a plain function: FastAPI would run it in a thread, for each request anew.
    async def find(request: Request) -> Any:
        return getattr(request.app.state.services, name)

    found: Callable[[Request], Awaitable[Any]] = find
    return Depends(found)


Containers = Annotated[ContainerStore, _service("containers")]
Create = Annotated[Creator, _service("creator")]
Start = Annotated[Starter, _service("starter")]
Stop = Annotated[Stopper, _service("stopper")]
Restart = Annotated[Restarter, _service("restarter")]
Pause = Annotated[Pauser, _service("pauser")]
Rename = Annotated[Renamer, _service("renamer")]
Resize = Annotated[Resizer, _service("resizer")]
Update = Annotated[Updater, _service("updater")]
Remove = Annotated[Remover, _service("remover")]
Prune = Annotated[Pruner, _service("pruner")]
List = Annotated[Lister, _service("lister")]
Inspect = Annotated[Inspector, _service("inspector")]
Processes = Annotated[ProcessLister, _service("processes")]
Logs = Annotated[LogReader, _service("logs")]
Commit = Annotated[ContainerCommitter, _service("committer")]
Archive = Annotated[Archiver, _service("archiver")]
Diff = Annotated[Differ, _service("differ")]
Stats = Annotated[StatsReader, _service("stats")]
Attach = Annotated[Attacher, _service("attacher")]
WebSockets = Annotated[Tunnels, _service("websockets")]
PendingWaits = Annotated[Waits, _service("waits")]
Execs = Annotated[ExecService, _service("execs")]
ImageList = Annotated[ImageLister, _service("image_lister")]
ImageInspect = Annotated[ImageInspector, _service("image_inspector")]
ImageRemove = Annotated[ImageRemover, _service("image_remover")]
ImagePrune = Annotated[ImagePruner, _service("image_pruner")]
Pull = Annotated[Puller, _service("puller")]
Push = Annotated[Pusher, _service("pusher")]
Load = Annotated[Loader, _service("loader")]
Save = Annotated[Saver, _service("saver")]
LogIn = Annotated[Login, _service("login")]
Search = Annotated[Searcher, _service("searcher")]
Distribution = Annotated[DistributionInspector, _service("distribution")]
Tag = Annotated[Tagger, _service("tagger")]
Volumes = Annotated[VolumeService, _service("volumes")]
Connect = Annotated[Connector, _service("connector")]
Networks = Annotated[NetworkService, _service("networks")]
Events = Annotated[EventBus, _service("events")]
System = Annotated[SystemService, _service("system")]
Usage = Annotated[DiskUsage, _service("disk_usage")]
