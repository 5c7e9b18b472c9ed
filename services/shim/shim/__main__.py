"""`containerd-shim-dockyard-v1 start | delete | forkserver`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from typing import Final

from shim import bootstrap, forkserver, linux, options
from shim.args import parse
from wire.addresses import short_dir
from wire.errors import EngineError
from wire.gen.shim.task.v2 import shim_pb2

_VERSION: Final = "0.1.0"
_KILLED: Final = 137


def main(arguments: list[str] | None = None) -> int:
    """Run a verb; the exit status."""
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    if parsed.version:
        sys.stdout.write(f"containerd-shim-dockyard-v1:\n  Version: {_VERSION}\n")
        return 0
    if parsed.verb == "forkserver":
        forkserver.run(*([int(parsed.socket)] if parsed.socket else []))
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
    # Input holds the options that Create brings again.
    bundle = os.getcwd()
    address = parsed.address
    request = bootstrap.Request(
        container_id=parsed.id,
        namespace=parsed.namespace,
        bundle=bundle,
        grpc_address=address,
        ttrpc_address=os.environ.get("TTRPC_ADDRESS") or f"{address}.ttrpc",
        socket_dir=short_dir(os.environ.get("DOCKYARD_SOCKET_ROOT") or "/run/containerd"),
        debug=parsed.debug,
    )
    sys.stdout.write(bootstrap.start(request).address)
    sys.stdout.flush()


def _delete(parsed: argparse.Namespace) -> None:
    """Clean up after a shim that has died; the DeleteResponse on standard output."""
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
    response = shim_pb2.DeleteResponse(exit_status=_KILLED)
    with contextlib.suppress(OSError, ValueError), open(f"{bundle}/exit.json", "rb") as file:
        record = json.load(file)
        response.exit_status = record["exit_status"]
        response.pid = record["pid"]
        response.exited_at.FromNanoseconds(record["exited_at_ns"])
    if not response.HasField("exited_at"):
        response.exited_at.GetCurrentTime()
    sys.stdout.buffer.write(response.SerializeToString())
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
