"""What every subsystem stands on: configuration, containerd, networks, events, plugins."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from dataclasses import dataclass

from dockerd.config import Config, LiveConfig
from dockerd.containerd_client.client import Containerd
from dockerd.containerd_client.tasks import Tasks
from dockerd.events.bus import EventBus
from dockerd.fdstore import FdStore
from dockerd.networks.controller import NetworkController
from dockerd.plugins.activation import Plugins
from dockerd.plugins.address import Directory
from wire.identity import lasting_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Made first, closed last."""

    live: LiveConfig
    containerd: Containerd
    tasks: Tasks
    networks: NetworkController
    events: EventBus
    kept: FdStore
    plugins: Plugins
    daemon_id: str
    scratch: str
    runtime: str
    init: str

    @property
    def config(self) -> Config:
        """The configuration at the start."""
        return self.live.current


def lay(
    live: LiveConfig,
    containerd: Containerd,
    networks: NetworkController,
    kept: FdStore,
    stack: contextlib.AsyncExitStack,
) -> Ground:
    """Events are closed by the stack."""
    config = live.current
    events = EventBus(os.path.join(config.data_root, "events.jsonl"))
    stack.callback(events.close)
    return Ground(
        live=live,
        containerd=containerd,
        tasks=Tasks(containerd),
        networks=networks,
        events=events,
        kept=kept,
        plugins=Plugins(Directory(f"{config.exec_root}/plugins")),
        daemon_id=daemon_id(config.data_root),
        scratch=_scratch(config.data_root),
        runtime=_beside("dockyard-runtime"),
        init=config.init_path or _beside("dockyard-init"),
    )


def daemon_id(data_root: str) -> str:
    """The engine's id."""
    return lasting_id(os.path.join(data_root, "engine-id"))


def _scratch(data_root: str) -> str:
    """A folder for uploads in progress, emptied at start."""
    path = os.path.join(data_root, "tmp")
    shutil.rmtree(path, ignore_errors=True)
    os.mkdir(path, 0o700)
    return path


def _beside(name: str) -> str:
    """A program that is installed beside this one, or in PATH."""
    path = os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), name)
    return path if os.path.exists(path) else shutil.which(name) or path
