"""`dockyard up | down | status | doctor | clean | serve`: one stack's daemons, started under the supervisor and stopped again."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import shutil
import socket
import struct
import sys
from collections import deque
from typing import Any, Final

from dockyard import leftovers, orphans
from dockyard.daemons import containerd_of, dockerd_of
from dockyard.engine import Engine, EngineFailure
from dockyard.image import NAME, hello_archive
from dockyard.prepare import OWN_MARK, prepare, refuse_foreign, served
from dockyard.serve import SERVICES, serve
from dockyard.stack import Stack, stack_at
from dockyard.supervisor import Supervisor
from wire import telemetry
from wire.addresses import short_dir
from wire.errors import EngineError

_READY_PATIENCE: Final = 60.0
_STOP_PATIENCE: Final = 90.0
_LAST_WORDS: Final = 8


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; the exit status."""
    parser = argparse.ArgumentParser(prog="dockyard", description=__doc__)
    parser.add_argument("verb", choices=("up", "down", "status", "doctor", "clean", "serve"))
    parser.add_argument(
        "service", nargs="?", choices=SERVICES, help="what `serve` becomes, without a supervisor"
    )
    parser.add_argument(
        "--root", default=os.environ.get("ROOT") or None, help="a separate stack below this folder"
    )
    parser.add_argument(
        "--repair", action="store_true", help="doctor: fetch or unpack again what is damaged"
    )
    parser.add_argument("--bin", default=None, help="where the daemons' programs are")
    parser.add_argument("--hello", default=None, help="the static binary of the hello image")
    options = parser.parse_args(arguments)
    if (options.verb == "serve") != (options.service is not None):
        parser.error("serve, and only serve, takes the name of a service")
    if options.repair and options.verb != "doctor":
        parser.error("only doctor repairs")
    bin_dir = options.bin or os.path.dirname(os.path.realpath(sys.argv[0]))
    try:
        stack = stack_at(options.root)
        if options.verb == "up":
            _up(stack, bin_dir, options.hello or f"{bin_dir}/../hello")
        elif options.verb == "down":
            _down(stack)
        elif options.verb == "status":
            return _status(stack)
        elif options.verb == "doctor":
            return _doctor(stack, bin_dir, repair=options.repair)
        elif options.verb == "serve":
            serve(stack, options.service, bin_dir)
        else:
            _clean(stack, bin_dir)
    except (EngineError, EngineFailure, OSError) as error:
        sys.stderr.write(f"dockyard: {error}\n")
        return 1
    return 0


def _ask(stack: Stack, operation: str, patience: float) -> dict[str, Any] | None:
    """Send one operation to the supervisor; None if there is no supervisor, or it ended while we waited."""
    answer = b""
    with contextlib.ExitStack() as undo:
        connection = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        connection.settimeout(patience)
        try:
            connection.connect(stack.control_socket)
            supervisor = _peer(connection)
        except (FileNotFoundError, ConnectionError, ProcessLookupError):
            return None
        undo.callback(os.close, supervisor)
        with contextlib.suppress(ConnectionError):
            connection.sendall(json.dumps({"op": operation}).encode())
            answer = connection.recv(1 << 16)
        if not answer:
            # It removes its own files after it has closed our connection.
            select.select([supervisor], [], [], patience)
    return json.loads(answer) if answer else None


def _peer(connection: socket.socket) -> int:
    """A pidfd of the process at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return os.pidfd_open(struct.unpack("3i", credentials)[0])


def _up(stack: Stack, bin_dir: str, hello: str) -> None:
    if _ask(stack, "status", _READY_PATIENCE) is None:
        orphans.stop(stack)
        refuse_foreign(stack)
        prepare(stack)
        _spawn(stack, bin_dir)
    try:
        if _ask(stack, "ready", _READY_PATIENCE) is None:
            raise EngineFailure(f"the supervisor ended; see {stack.log_dir}/supervisor.log")
    except TimeoutError:
        raise EngineFailure(_why_not_ready(stack)) from None
    engine = Engine(stack.docker_socket)
    if not engine.find_image(NAME):
        with open(hello, "rb") as file:
            engine.load(hello_archive(file.read()))
    code, output = engine.run(NAME)
    sys.stdout.write(output.decode(errors="replace"))
    if code != 0:
        raise EngineFailure(f"the hello container ended with exit status {code}")
    prefix = "" if stack.root is None else f"DOCKER_HOST=unix://{stack.docker_socket} "
    sys.stdout.write(
        f"\nThe stack is up. Go on with:\n  {prefix}docker run --rm {NAME}\n  {prefix}docker info\n"
    )
    if shutil.which("docker") is None:
        sys.stdout.write(
            "There is no docker command yet: install docker-cli (Debian 12: docker.io).\n"
        )


def _why_not_ready(stack: Stack) -> str:
    """Which daemon does not serve, how it ended if it did, and its last words."""
    told = [f"the stack is not ready after {_READY_PATIENCE:.0f} s"]
    answer = _ask(stack, "status", _READY_PATIENCE) or {"daemons": []}
    for daemon in answer["daemons"]:
        if not daemon["ready"]:
            log = f"{stack.log_dir}/{daemon['name']}.log"
            ended = f" ended with {daemon['last_exit']}," if daemon["last_exit"] else ""
            told.append(f"{daemon['name']}{ended} does not serve; the end of {log}:")
            with (
                contextlib.suppress(OSError),
                open(log, encoding="utf-8", errors="replace") as file,
            ):
                told += (f"  {line.rstrip()}" for line in deque(file, _LAST_WORDS))
    return "\n".join(told)


def _spawn(stack: Stack, bin_dir: str) -> None:
    """Start the supervisor as a process of its own session, and return when it listens (or has failed to)."""
    told, tell = os.pipe()
    if os.fork():
        os.close(tell)
        with os.fdopen(told, "rb") as pipe:
            failure = pipe.read().decode(errors="replace")
        os.wait()
        if failure:
            raise EngineFailure(failure)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.close(told)
    try:
        _detach(stack)
        daemons = [containerd_of(stack, bin_dir), dockerd_of(stack, bin_dir)]
        supervisor = Supervisor(stack, daemons)
        supervisor.run(lambda: os.close(tell))
    except (EngineError, OSError) as error:
        with contextlib.suppress(OSError):
            os.write(tell, str(error).encode())
        os._exit(1)
    os._exit(0)


def _detach(stack: Stack) -> None:
    os.chdir("/")
    null = os.open("/dev/null", os.O_RDWR)
    log = os.open(f"{stack.log_dir}/supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    telemetry.configure("dockyard")


def _down(stack: Stack) -> None:
    supervised = _ask(stack, "status", _READY_PATIENCE) is not None
    if supervised:
        with contextlib.suppress(ConnectionError):
            _ask(stack, "stop", _STOP_PATIENCE)
    if orphans.stop(stack) or supervised:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(stack.docker_socket)


def _status(stack: Stack) -> int:
    """One line for each daemon; 3 if one of them does not serve."""
    answer = _ask(stack, "status", _READY_PATIENCE)
    if answer is None:
        return _unsupervised_status(stack)
    for daemon in answer["daemons"]:
        state = "ready" if daemon["ready"] else "starting" if daemon["pid"] else "stopped"
        sys.stdout.write(f"{daemon['name']}\t{state}\tpid {daemon['pid']}\n")
    return 0 if all(daemon["ready"] for daemon in answer["daemons"]) else 3


def _unsupervised_status(stack: Stack) -> int:
    """What `dockyard serve` runs, or what a killed supervisor left."""
    running = served(stack)
    for name, serving in running.items():
        sys.stdout.write(f"{name}\t{'ready, not supervised' if serving else 'not running'}\n")
    return 0 if all(running.values()) else 3


def _doctor(stack: Stack, bin_dir: str, *, repair: bool) -> int:
    """One line for each finding; 1 if one of them is a problem."""
    # It brings gRPC, which the supervisor would keep in memory for all its life.
    from dockyard.doctor import examine

    worst = 0
    for finding in examine(stack, bin_dir, repair=repair):
        sys.stdout.write(f"{finding.level:8} {finding.subject}: {finding.text}\n")
        sys.stdout.flush()
        worst |= finding.level == "problem"
    return worst


def _clean(stack: Stack, bin_dir: str) -> None:
    """Remove the stack's containers, its daemons, and everything that it keeps."""
    if _ask(stack, "status", _READY_PATIENCE) is not None:
        engine = Engine(stack.docker_socket)
        with contextlib.suppress(OSError, EngineFailure):
            for container in engine.list_containers():
                with contextlib.suppress(EngineFailure):
                    engine.remove_container(container)
    _down(stack)
    refuse_foreign(stack)
    leftovers.remove(stack, bin_dir)
    for directory in stack.directories():
        if os.path.exists(f"{directory}/{OWN_MARK}") or directory == stack.control_dir:
            shutil.rmtree(directory, ignore_errors=True)
        elif os.path.isdir(directory):
            sys.stdout.write(f"kept: {directory}, which was there before the stack\n")
    for state in (stack.docker_exec, stack.containerd_state):
        shutil.rmtree(short_dir(state), ignore_errors=True)
    for path in (
        stack.docker_socket,
        stack.containerd_socket,
        f"{stack.containerd_socket}.ttrpc",
        stack.dockerd_pid,
        stack.containerd_pid,
    ):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    leftovers.remove_shared_folders(stack)
    if stack.root is not None:
        # ROOT itself stays if anything of the user's is in it.
        for directory in (f"{stack.root}/run", stack.root):
            with contextlib.suppress(OSError):
                os.rmdir(directory)


if __name__ == "__main__":
    sys.exit(main())
