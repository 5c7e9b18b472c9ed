"""`containerd-shim-dockyard-v1 start | delete | forkserver`, and `-info`."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Final

    from wire.gen.shim.bootstrap.v1.bootstrap_msg import BootstrapParams

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
    """The standard contract: the address on standard output. containerd runs us in the bundle.

    containerd 2.3 and later tells its parameters on standard input and reads a protobuf answer; the ones before send the
    runtime's options, which Create brings again, and read the bare address.
    """
    from shim import bootstrap
    from wire.addresses import shim_group, shim_socket, short_dir
    from wire.gen.shim.bootstrap.v1.bootstrap_msg import BootstrapResult

    bundle = os.getcwd()
    address = parsed.address
    ttrpc_address = os.environ.get("TTRPC_ADDRESS") or f"{address}.ttrpc"
    socket_dir = short_dir(os.environ.get("DOCKYARD_SOCKET_ROOT") or "/run/containerd")
    given = _bootstrap_params(parsed, _input())
    if given is not None:
        address = given.containerd_grpc_address or address
        ttrpc_address = given.containerd_ttrpc_address or ttrpc_address
        if given.HasField("socket_dir"):
            socket_dir = given.socket_dir
    group = shim_group(bundle) or parsed.id
    socket_address = bootstrap.start(
        bootstrap.Request(
            namespace=parsed.namespace,
            bundle=bundle,
            ttrpc_address=ttrpc_address,
            socket_dir=socket_dir,
            socket_path=shim_socket(socket_dir, address, parsed.namespace, group),
        )
    )
    if given is None:
        sys.stdout.write(socket_address)
    else:
        answer = BootstrapResult(version=3, address=socket_address, protocol="ttrpc")
        sys.stdout.buffer.write(answer.SerializeToString())
    sys.stdout.flush()


def _input() -> bytes:
    """What the caller tells; a person at a terminal tells nothing."""
    return b"" if sys.stdin is None or sys.stdin.isatty() else sys.stdin.buffer.read()


def _bootstrap_params(parsed: argparse.Namespace, data: bytes) -> BootstrapParams | None:
    """The parameters of containerd 2.3 and later; None for what earlier ones send."""
    from wire.codec import DecodeError
    from wire.gen.shim.bootstrap.v1 import bootstrap_msg

    try:
        params = bootstrap_msg.BootstrapParams.FromString(data)
    except DecodeError:
        return None
    same = params.instance_id == parsed.id and params.namespace == parsed.namespace
    return params if same else None


def _delete(parsed: argparse.Namespace) -> None:
    """Clean up after a shim that has died; the DeleteResponse on standard output."""
    import contextlib
    import json
    import subprocess
    import time

    from shim import bootstrap, linux, messages, options, record
    from wire.gen.shim.task.v2.shim_msg import DeleteResponse

    bundle = parsed.bundle or os.getcwd()
    remembered = record.load(bundle)
    found = remembered.options if remembered else options.resolve(parsed.namespace)
    subprocess.run(
        [found.binary, "--root", found.root, "delete", "--force", parsed.id],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    linux.unmount_all(f"{bundle}/rootfs")
    bootstrap.remove_sockets(bundle)
    response = DeleteResponse(exit_status=_KILLED)
    with contextlib.suppress(OSError, ValueError), open(f"{bundle}/exit.json", "rb") as file:
        ended = json.load(file)
        response.exit_status = ended["exit_status"]
        response.pid = ended["pid"]
        response.exited_at = messages.timestamp(ended["exited_at_ns"])
    if not response.HasField("exited_at"):
        response.exited_at = messages.timestamp(time.time_ns())
        with (
            contextlib.suppress(OSError, ValueError),
            open(f"{bundle}/init.pid", encoding="ascii") as file,
        ):
            response.pid = int(file.read())
    sys.stdout.buffer.write(response.SerializeToString())
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
