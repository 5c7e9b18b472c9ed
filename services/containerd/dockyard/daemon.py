"""One supervised daemon: forked with its listeners and stored descriptors, watched by pidfd, started again when it dies."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from dataclasses import dataclass, field
from typing import Final

from dockyard.fdstore import FdStore, bind_notify
from wire.atomic import write_atomic

_FIRST_DESCRIPTOR: Final = 3
_HEALTHY_AFTER: Final = 5.0
_SLOWEST_RESTART: Final = 5.0
_SIGNALS_RESET: Final = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGHUP)


@dataclass(slots=True, kw_only=True)
class Daemon:
    """What to run and what is known about the process that runs it."""

    name: str
    command: list[str]
    environment: dict[str, str]
    pid_file: str
    log_file: str
    notify_path: str
    listeners: list[tuple[str, socket.socket]] = field(default_factory=list)
    store: FdStore = field(default_factory=FdStore)
    pid: int = 0
    pidfd: int = -1
    ready: bool = False
    failures: int = 0
    started_at: float = 0.0
    restart_at: float | None = None
    last_exit: str = ""
    notify: socket.socket | None = None

    def open_notify(self) -> socket.socket:
        """Bind the notify socket; it stays the same for all lives of the daemon."""
        self.notify = bind_notify(self.notify_path)
        return self.notify

    def start(self) -> None:
        """Fork and exec. The supervisor has one thread, so the child may run Python until exec."""
        passed = [(name, listener.fileno()) for name, listener in self.listeners]
        passed += list(self.store)
        log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        child = os.fork()
        if child == 0:
            self._exec(passed, log)
        os.close(log)
        self.pid = child
        self.pidfd = os.pidfd_open(child)
        self.ready = False
        self.restart_at = None
        self.started_at = time.monotonic()
        write_atomic(self.pid_file, f"{child}\n".encode(), 0o644)

    def _exec(self, passed: list[tuple[str, int]], log: int) -> None:
        try:
            os.setsid()
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            for number in _SIGNALS_RESET:
                signal.signal(number, signal.SIG_DFL)
            environment = dict(self.environment, NOTIFY_SOCKET=self.notify_path)
            if passed:
                environment.update(
                    LISTEN_FDS=str(len(passed)),
                    LISTEN_PID=str(os.getpid()),
                    LISTEN_FDNAMES=":".join(name.replace(":", "_") for name, _ in passed),
                )
            null = os.open("/dev/null", os.O_RDONLY)
            # First above everything in use, then down to 3…, so that no target overwrites a source.
            floor = max([null, log, *(fd for _, fd in passed)]) + _FIRST_DESCRIPTOR + len(passed)
            lifted = []
            for offset, (_, descriptor) in enumerate(passed):
                os.dup2(descriptor, floor + offset, inheritable=False)
                lifted.append(floor + offset)
            os.dup2(null, 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            for offset, descriptor in enumerate(lifted):
                os.dup2(descriptor, _FIRST_DESCRIPTOR + offset)
            os.closerange(_FIRST_DESCRIPTOR + len(passed), floor + len(passed))
            os.execve(self.command[0], self.command, environment)  # noqa: S606
        except OSError as error:
            os.write(2, f"{self.command[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(127)

    def collect(self) -> str:
        """Reap the dead process and decide when the next one starts; how it ended, in words."""
        _, status = os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        lived = time.monotonic() - self.started_at
        served = self.ready
        self.pid, self.pidfd, self.ready = 0, -1, False
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.pid_file)
        code = os.waitstatus_to_exitcode(status)
        self.last_exit = f"signal {-code}" if code < 0 else f"exit status {code}"
        # A daemon that served and was killed has no fault of its own to wait out.
        killed = served and code == -signal.SIGKILL
        self.failures = 0 if killed or lived >= _HEALTHY_AFTER else self.failures + 1
        # The first death is answered at once: clients are waiting in the listener's backlog.
        delay = 0.0 if self.failures <= 1 else min(_SLOWEST_RESTART, 0.1 * 2**self.failures)
        self.restart_at = time.monotonic() + delay
        return self.last_exit
