"""The small supervisor: holds dockerd's listening sockets and both daemons' stored descriptors, and restarts a daemon that dies.

Single-threaded, one selector, no polling. It speaks systemd's side of socket activation, sd_notify and FDSTORE, so a
daemon cannot tell the two apart.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from dockyard.daemon import Daemon
from dockyard.fdstore import Notification, receive
from dockyard.listen import listen
from dockyard.stack import Stack
from wire.atomic import FileLock

logger = logging.getLogger(__name__)

_STOP_PATIENCE: Final = 30.0


def _drain(wake: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        wake.recv(4096)


@dataclass(eq=False, slots=True)
class _Client:
    connection: socket.socket
    waits_ready: bool = False


class Supervisor:
    """Runs ``daemons`` in order and answers `dockyard up/down/status` on the stack's control socket."""

    def __init__(self, stack: Stack, daemons: list[Daemon]) -> None:
        self._stack = stack
        self._daemons = daemons
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._clients: list[_Client] = []
        self._stopping: list[Daemon] | None = None
        self._stop_deadline: float | None = None

    def run(self, listening: Callable[[], None]) -> None:
        """Serve until told to stop, calling ``listening`` once `up` can ask; raises Unavailable if the stack has a supervisor."""
        lock = FileLock(f"{self._stack.control_dir}/supervisor.lock")
        lock.acquire()
        control = listen(self._stack.control_socket, 0o600, None)
        control.setblocking(False)
        self._watch(control.fileno(), select.EPOLLIN, lambda: self._accept(control))
        wake, waker = socket.socketpair()
        for end in (wake, waker):
            end.setblocking(False)
        signal.set_wakeup_fd(waker.fileno())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: self._stop())
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._watch(wake.fileno(), select.EPOLLIN, lambda: _drain(wake))
        for daemon in self._daemons:
            notify = daemon.open_notify()
            self._watch(notify.fileno(), select.EPOLLIN, partial(self._notified, daemon))
            self._start(daemon)
        listening()
        try:
            while not self._finished():
                for descriptor, _ in self._epoll.poll(self._timeout()):
                    # An earlier callback of this round may have taken this one out.
                    callback = self._callbacks.get(descriptor)
                    if callback is not None:
                        callback()
                self._clock()
        finally:
            os.unlink(self._stack.control_socket)
            lock.release()

    # -- daemons

    def _start(self, daemon: Daemon) -> None:
        daemon.start()
        logger.info("daemon started", extra={"daemon": daemon.name, "pid": daemon.pid})
        self._watch(daemon.pidfd, select.EPOLLIN, partial(self._died, daemon))

    def _died(self, daemon: Daemon) -> None:
        self._forget(daemon.pidfd)
        # What it left in its last moment is still its own, and the next one's.
        self._notified(daemon)
        pid = daemon.pid
        ended = daemon.collect()
        if self._stopping is None:
            logger.warning("daemon died", extra={"daemon": daemon.name, "pid": pid, "exit": ended})
            return
        logger.info("daemon stopped", extra={"daemon": daemon.name, "pid": pid, "exit": ended})
        self._stopping.remove(daemon)
        self._stop_next()

    def _notified(self, daemon: Daemon) -> None:
        assert daemon.notify is not None
        while (message := receive(daemon.notify)) is not None:
            # A dying predecessor, or any other process of root, must not speak for the daemon.
            if message.pid != daemon.pid:
                for descriptor in message.descriptors:
                    os.close(descriptor)
                continue
            self._apply(daemon, message)

    def _apply(self, daemon: Daemon, message: Notification) -> None:
        name = message.fields.get("FDNAME", "stored")
        if message.fields.get("FDSTORE") == "1":
            if daemon.store.add(name, message.descriptors):
                if message.fields.get("FDPOLL") != "0":
                    self._watch_hangup(daemon, message.descriptors)
            else:
                logger.error("descriptor store is full", extra={"daemon": daemon.name})
        else:
            for descriptor in message.descriptors:
                os.close(descriptor)
        if message.fields.get("FDSTOREREMOVE") == "1":
            for descriptor in [fd for held, fd in daemon.store if held == name]:
                self._forget(descriptor)
            daemon.store.remove(name)
        if message.fields.get("READY") == "1" and not daemon.ready:
            daemon.ready = True
            logger.info("daemon ready", extra={"daemon": daemon.name, "pid": daemon.pid})
            self._answer_waiting()

    def _watch_hangup(self, daemon: Daemon, descriptors: tuple[int, ...]) -> None:
        for descriptor in descriptors:

            def hung_up(descriptor: int = descriptor) -> None:
                self._forget(descriptor)
                daemon.store.drop(descriptor)

            # An empty mask still reports EPOLLHUP and EPOLLERR; EPERM: a file that cannot be polled hangs up never.
            with contextlib.suppress(PermissionError):
                self._watch(descriptor, 0, hung_up)

    def _watch(self, descriptor: int, events: int, callback: Callable[[], None]) -> None:
        self._epoll.register(descriptor, events)
        self._callbacks[descriptor] = callback

    def _forget(self, descriptor: int) -> None:
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    # -- time

    def _timeout(self) -> float | None:
        deadlines = [daemon.restart_at for daemon in self._daemons if daemon.restart_at is not None]
        if self._stopping is not None:
            deadlines = [self._stop_deadline] if self._stop_deadline is not None else []
        if not deadlines:
            return None
        return max(0.0, min(deadlines) - time.monotonic())

    def _clock(self) -> None:
        now = time.monotonic()
        if self._stopping is None:
            for daemon in self._daemons:
                if daemon.restart_at is not None and daemon.restart_at <= now:
                    self._start(daemon)
        elif self._stopping and self._stop_deadline is not None and self._stop_deadline <= now:
            daemon = self._stopping[0]
            logger.error("daemon does not stop", extra={"daemon": daemon.name})
            signal.pidfd_send_signal(daemon.pidfd, signal.SIGKILL)
            self._stop_deadline = None

    def _finished(self) -> bool:
        return self._stopping is not None and not self._stopping

    # -- stopping

    def _stop(self) -> None:
        if self._stopping is None:
            for daemon in self._daemons:
                daemon.restart_at = None
            # dockerd first, so that it may still talk to containerd.
            self._stopping = [daemon for daemon in reversed(self._daemons) if daemon.pid]
            self._stop_next()

    def _stop_next(self) -> None:
        if self._stopping:
            self._stop_deadline = time.monotonic() + _STOP_PATIENCE
            signal.pidfd_send_signal(self._stopping[0].pidfd, signal.SIGTERM)

    # -- control socket

    def _accept(self, control: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            connection, _ = control.accept()
            connection.setblocking(False)
            client = _Client(connection)
            self._clients.append(client)
            self._watch(connection.fileno(), select.EPOLLIN, partial(self._read, client))

    def _read(self, client: _Client) -> None:
        try:
            data = client.connection.recv(4096)
            operation = json.loads(data)["op"] if data else None
        except (OSError, ValueError, KeyError, TypeError):
            operation = None
        if operation == "status":
            self._reply(client)
        elif operation == "ready":
            client.waits_ready = True
            self._answer_waiting()
        elif operation == "stop":
            # The connection ends with the supervisor: that is the answer.
            self._stop()
        else:
            self._drop(client)

    def _answer_waiting(self) -> None:
        if all(daemon.ready for daemon in self._daemons):
            for client in [client for client in self._clients if client.waits_ready]:
                self._reply(client)

    def _reply(self, client: _Client) -> None:
        report: list[dict[str, Any]] = [
            {
                "name": daemon.name,
                "pid": daemon.pid,
                "ready": daemon.ready,
                "stored": len(daemon.store),
                "last_exit": daemon.last_exit,
            }
            for daemon in self._daemons
        ]
        with contextlib.suppress(OSError):
            client.connection.send(json.dumps({"daemons": report}).encode() + b"\n")
        self._drop(client)

    def _drop(self, client: _Client) -> None:
        self._forget(client.connection.fileno())
        client.connection.close()
        self._clients.remove(client)
