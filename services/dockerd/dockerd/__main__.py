"""`dockerd`: flags, logs, and the loop."""

from __future__ import annotations

import os
import sys

# Its fork handlers abort the child of a fork while other threads are in gRPC (1.85); our children exec at once.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import uvloop

from dockerd.api import tls
from dockerd.config import Config
from dockerd.configuration import command_line
from dockerd.configuration.load import load
from dockerd.system.information import VERSION
from dockerd.wiring.serve import serve
from wire import telemetry
from wire.errors import EngineError


def main(arguments: list[str] | None = None) -> int:
    """Run the daemon; the exit status."""
    try:
        line = command_line.parse(sys.argv[1:] if arguments is None else arguments)
        if line.help:
            sys.stdout.write(command_line.usage())
            return 0
        if line.version:
            sys.stdout.write(f"Docker version {VERSION}, build dockyard\n")
            return 0
        config = load(line, os.environ)
        secured = tls.context(config.tls) if config.tls else None
    except EngineError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    if line.validate:
        sys.stderr.write("configuration OK\n")
        return 0
    _take_proxies(config)
    telemetry.configure("dockerd", config.verbosity, config.log_format)
    try:
        uvloop.run(serve(line, config, secured))
    except (EngineError, OSError) as error:
        sys.stderr.write(f"failed to start daemon: {error}\n")
        return 1
    return 0


def _take_proxies(config: Config) -> None:
    """As in the original: the configuration's replace those of the environment, where everybody looks for them."""
    for key, value in config.proxies.items():
        name = key.replace("-", "_")
        os.environ[name] = os.environ[name.upper()] = value


if __name__ == "__main__":
    sys.exit(main())
