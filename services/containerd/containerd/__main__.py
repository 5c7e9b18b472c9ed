"""`containerd`: flags, logs, and the loop."""

from __future__ import annotations

import logging
import os
import sys

# Its fork handlers abort the child of a fork while other threads are in gRPC (1.85); our children exec at once.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

from containerd.config import Config, parse
from containerd.services.events import VERSION
from containerd.settings import Settings, write
from wire import telemetry
from wire.errors import EngineError


def main(arguments: list[str] | None = None) -> int:
    """Run the daemon; the exit status."""
    try:
        config = parse(sys.argv[1:] if arguments is None else arguments, VERSION)
    except (EngineError, OSError) as error:
        sys.stderr.write(f"containerd: {error}\n")
        return 1
    if config.command in {"verify", "repair", "account"}:
        return _verify(config)
    if config.command:
        sys.stdout.write(write(Settings() if config.command == "default" else config.settings))
        return 0
    # Not for the commands above, which are over in less time than it takes to load.
    import uvloop

    from containerd.daemon import serve

    telemetry.configure("containerd", config.log_level)
    # One line for each call and loop, of no use to anybody.
    logging.getLogger("grpc").setLevel(logging.INFO)
    for key in config.unknown:
        logging.getLogger(__name__).warning("ignoring unknown key in TOML", extra={"key": key})
    try:
        uvloop.run(serve(config))
    except (EngineError, OSError) as error:
        sys.stderr.write(f"containerd: {error}\n")
        return 1
    return 0


def _verify(config: Config) -> int:
    # The daemon has no use for it.
    from containerd.verify.run import run

    try:
        return run(config)
    except (EngineError, OSError) as error:
        sys.stderr.write(f"containerd: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
