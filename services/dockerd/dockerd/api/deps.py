"""What routes may use: the services of the daemon, put into the application by the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from dockerd.containers.service import ContainerService
from dockerd.containers.waits import Waits
from dockerd.events.bus import EventBus
from dockerd.execs.service import ExecService
from dockerd.images.store import ImageStore
from dockerd.system.information import SystemService


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything, for this module alone."""

    containers: ContainerService
    execs: ExecService
    images: ImageStore
    events: EventBus
    system: SystemService
    waits: Waits


def _services(request: Request) -> Services:
    return cast("Services", request.app.state.services)


def _containers(request: Request) -> ContainerService:
    return _services(request).containers


def _execs(request: Request) -> ExecService:
    return _services(request).execs


def _images(request: Request) -> ImageStore:
    return _services(request).images


def _events(request: Request) -> EventBus:
    return _services(request).events


def _system(request: Request) -> SystemService:
    return _services(request).system


def _waits(request: Request) -> Waits:
    return _services(request).waits


Containers = Annotated[ContainerService, Depends(_containers)]
Execs = Annotated[ExecService, Depends(_execs)]
Images = Annotated[ImageStore, Depends(_images)]
Events = Annotated[EventBus, Depends(_events)]
System = Annotated[SystemService, Depends(_system)]
PendingWaits = Annotated[Waits, Depends(_waits)]
