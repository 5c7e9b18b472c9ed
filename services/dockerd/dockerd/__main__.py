"""`dockerd`: flags, logs, and the loop."""

from __future__ import annotations

import os
import sys

# Its fork handlers abort the child of a fork while other threads are in gRPC (1.85); our children exec at once.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

import uvloop

from dockerd.config import parse
from dockerd.system.information import VERSION
from dockerd.wiring import serve
from wire import telemetry
from wire.errors import EngineError


def main(arguments: list[str] | None = None) -> int:
    """Run the daemon; the exit status."""
    config = parse(sys.argv[1:] if arguments is None else arguments, VERSION)
    telemetry.configure("dockerd", config.log_level)
    try:
        uvloop.run(serve(config))
    except (EngineError, OSError) as error:
        sys.stderr.write(f"dockerd: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
