"""SIGHUP: the file is read again, and what may change while the daemon runs does, all of it or nothing."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Sequence
from typing import Any

from dockerd.authorization.chain import Authorization
from dockerd.background import Background
from dockerd.config import Config, LiveConfig
from dockerd.configuration.command_line import CommandLine
from dockerd.configuration.load import reload
from dockerd.configuration.values import shown
from dockerd.events.bus import EventBus
from dockerd.images.registries import RegistryHosts, parse_settings
from wire import telemetry
from wire.errors import EngineError

logger = logging.getLogger(__name__)


class Reloader:
    """Replaces the configuration of the moment."""

    def __init__(
        self,
        *,
        line: CommandLine,
        config: LiveConfig,
        registries: RegistryHosts,
        events: EventBus,
        daemon_id: str,
        authorization: Authorization,
    ) -> None:
        self._line = line
        self._config = config
        self._registries = registries
        self._events = events
        self._id = daemon_id
        self._authorization = authorization
        self._background = Background()

    def begin(self) -> None:
        """In the background: what a signal asks for."""
        self._background.begin(self.run())

    async def run(self) -> None:
        """Read and apply; a file that will not do is logged, and everything stays as it was."""
        logger.info(
            "got signal to reload configuration", extra={"config_file": self._line.config_file}
        )
        try:
            fresh = reload(self._line, os.environ, self._config.current)
            await self._authorization.check(fresh.authorization_plugins)
            settings = parse_settings(fresh.registry_mirrors, fresh.insecure_registries)
        except EngineError as error:
            logger.error("error reloading configuration", extra={"error": error.message})  # noqa: TRY400
            return
        if settings != self._registries.settings:
            self._registries.replace(settings)
        telemetry.configure("dockerd", fresh.verbosity, fresh.log_format)
        self._config.current = fresh
        attributes = _attributes(fresh)
        self._events.publish(
            "daemon", "reload", self._id, {**attributes, "name": socket.gethostname()}
        )
        logger.info("reloaded configuration", extra={"config": json.dumps(attributes)})

    async def close(self) -> None:
        """The daemon ends."""
        await self._background.close()


def _attributes(config: Config) -> dict[str, str]:
    return {
        "debug": shown(config.debug),
        "default-cgroupns-mode": config.cgroupns_mode,
        "default-ipc-mode": config.ipc_mode,
        "default-runtime": config.default_runtime,
        "default-shm-size": str(config.shm_size),
        "features": shown(config.features),
        "insecure-registries": _list(config.insecure_registries),
        "labels": _list(config.labels),
        "live-restore": "true",
        "max-concurrent-downloads": str(config.max_concurrent_downloads),
        "max-concurrent-uploads": str(config.max_concurrent_uploads),
        "max-download-attempts": str(config.max_download_attempts),
        "registry-mirrors": _list(config.registry_mirrors),
        "runtimes": " ".join(f"{name}:{each.path}" for name, each in config.runtimes.items()),
        "shutdown-timeout": str(config.shutdown_timeout),
    }


def _list(values: Sequence[Any]) -> str:
    return json.dumps(list(values), separators=(",", ":"))
