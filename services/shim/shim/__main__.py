"""`containerd-shim-dockyard-v1 start | delete | forkserver`."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Final

_VERSION: Final = "0.1.0"
_KILLED: Final = 137


def main(arguments: list[str] | None = None) -> int:
    """Run a verb; the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[-1:] == ["forkserver"]:
        # Before anything else is imported: what is in memory here is in memory of each shim.
        from shim import forkserver

        forkserver.run(*([int(given[1])] if given[0] == "-socket" else []))
        return 0
    from shim.args import parse
    from wire.errors import EngineError

    parsed = parse(given)
    if parsed.version:
        sys.stdout.write(f"containerd-shim-dockyard-v1:\n  Version: {_VERSION}\n")
        return 0
    if parsed.info:
        from shim import describe

        sys.stdout.buffer.write(describe.runtime(sys.stdin.buffer.read(), _VERSION))
        return 0
    if parsed.verb is None or not parsed.id or not parsed.namespace:
        sys.stderr.write("containerd-shim-dockyard-v1: a verb, -id and -namespace are needed\n")
        return 1
    try:
        if parsed.verb == "start":
            _start(parsed)
        else:
            _delete(parsed)
    except (EngineError, OSError) as error:
        sys.stderr.write(f"containerd-shim-dockyard-v1: {error}\n")
        return 1
    return 0


def _start(parsed: argparse.Namespace) -> None:
    """The standard contract: the address on standard output. containerd runs us in the bundle."""
    from shim import bootstrap
    from wire.addresses import shim_socket, short_dir

    # Input holds the options that Create brings again.
    bundle = os.getcwd()
    address = parsed.address
    socket_dir = short_dir(os.environ.get("DOCKYARD_SOCKET_ROOT") or "/run/containerd")
    request = bootstrap.Request(
        namespace=parsed.namespace,
        bundle=bundle,
        ttrpc_address=os.environ.get("TTRPC_ADDRESS") or f"{address}.ttrpc",
        socket_dir=socket_dir,
        socket_path=shim_socket(socket_dir, address, parsed.namespace, parsed.id),
    )
    sys.stdout.write(bootstrap.start(request).address)
    sys.stdout.flush()


def _delete(parsed: argparse.Namespace) -> None:
    """Clean up after a shim that has died; the DeleteResponse on standard output."""
    import contextlib
    import json
    import subprocess
    import time

    from shim import linux, messages, options
    from wire.gen.shim.task.v2.shim_msg import DeleteResponse

    bundle = parsed.bundle or os.getcwd()
    found = options.resolve(parsed.namespace)
    subprocess.run(
        [found.binary, "--root", found.root, "delete", "--force", parsed.id],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    linux.unmount_all(f"{bundle}/rootfs")
    response = DeleteResponse(exit_status=_KILLED)
    with contextlib.suppress(OSError, ValueError), open(f"{bundle}/exit.json", "rb") as file:
        record = json.load(file)
        response.exit_status = record["exit_status"]
        response.pid = record["pid"]
        response.exited_at = messages.timestamp(record["exited_at_ns"])
    if not response.HasField("exited_at"):
        response.exited_at = messages.timestamp(time.time_ns())
    sys.stdout.buffer.write(response.SerializeToString())
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
