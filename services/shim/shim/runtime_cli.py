"""The only place that runs the OCI runtime."""

from __future__ import annotations

import contextlib
import json
import os
import signal

from shim import trace
from wire.errors import (
    AlreadyExists,
    EngineError,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from shim.exits import Exits
    from shim.options import Options

_KINDS: Final[dict[str, type[EngineError]]] = {
    "not_found": NotFound,
    "already_exists": AlreadyExists,
    "invalid_config": InvalidArgument,
    "not_running": FailedPrecondition,
}
# The details key by which dockerd tells "not found" (127) from "not executable" (126) without reading sentences.
KIND_DETAIL: Final = "runtime_kind"
_RESET_SIGNALS: Final = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD]


class RuntimeCli:
    """Runs verbs of one runtime binary for one container."""

    def __init__(self, exits: Exits, options: Options, bundle: str, container_id: str) -> None:
        self._exits = exits
        self._binary = options.binary
        self._root = options.root
        self._systemd_cgroup = options.systemd_cgroup
        self.io_owner = (options.io_uid, options.io_gid)
        self._log = f"{bundle}/log.json"
        self._id = container_id

    async def run(
        self,
        verb: str,
        *flags: str,
        after: tuple[str, ...] = (),
        stdio: tuple[int, int, int] | None = None,
    ) -> None:
        """Run ``verb flags… id after…``; ``stdio`` are descriptors for the runtime's standard streams.

        Raises the error whose kind the runtime's log names, with the runtime's sentence.
        """
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._log)
        arguments = [self._binary, "--root", self._root, "--log", self._log, "--log-format", "json"]
        if self._systemd_cgroup:
            arguments.append("--systemd-cgroup")
        arguments += [verb, *flags, self._id, *after]
        span = trace.calling(f"runtime.{verb}")
        actions: list[tuple[Any, ...]]
        if stdio is None:
            actions = [
                (os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3)
            ]
        else:
            actions = [(os.POSIX_SPAWN_DUP2, source, number) for number, source in enumerate(stdio)]
        try:
            pid = os.posix_spawnp(  # noqa: ASYNC221 - vfork speed; there is no other loop to block
                self._binary,
                arguments,
                os.environ if span is None else {**os.environ, "TRACEPARENT": span.header},
                file_actions=actions,
                # Python ignores SIGPIPE and SIGXFSZ; an ignored signal would stay ignored in the container.
                setsigdef=_RESET_SIGNALS,
                setsigmask=[],
            )
        except OSError as error:
            raise NotFound(f"failed to run the runtime {self._binary}: {error.strerror}") from error
        ended = await self._exits.claim(pid)
        if span is not None:
            span.end(f"exit status {ended.status}" if ended.status else "")
        if ended.status != 0:
            raise self._failure(verb, ended.status)

    async def state(self) -> str:
        """``created``, ``running``, ``paused`` or ``stopped``, as the runtime knows it."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        with os.fdopen(reader, "rb") as output:
            try:
                await self.run("state", stdio=(null, writer, null))
            finally:
                os.close(null)
                os.close(writer)
            try:
                return str(json.load(output)["status"])
            except (ValueError, KeyError, TypeError) as error:
                raise Internal(f"the runtime's state is malformed: {error}") from error

    def _failure(self, verb: str, status: int) -> EngineError:
        message, kind = f"{self._binary} {verb} ended with exit status {status}", ""
        with contextlib.suppress(OSError):
            with open(self._log, "rb") as file:
                lines = file.read().splitlines()
            for line in reversed(lines):
                with contextlib.suppress(ValueError, KeyError):
                    entry = json.loads(line)
                    if entry["level"] in {"error", "fatal"}:
                        message, kind = (
                            str(entry["msg"]),
                            str(entry.get("kind") or guess_kind(entry["msg"])),
                        )
                        break
        message = f"OCI runtime {verb} failed: {'exec failed: ' if verb == 'exec' else ''}{message}"
        details = {KIND_DETAIL: kind} if kind else {}
        error = _KINDS.get(kind)
        return error(message, details=details) if error else Internal(message, details=details)


def guess_kind(message: str) -> str:
    """The kind of a sentence by runc or crun, whose logs have no field for it."""
    lowered = message.lower()
    for words, kind in (
        ("executable file not found", "command_not_found"),
        ("no such file or directory", "command_not_found"),
        ("permission denied", "command_not_executable"),
        ("is a directory", "command_not_executable"),
        ("does not exist", "not_found"),
        ("not running", "not_running"),
        ("already finished", "not_running"),
    ):
        if words in lowered:
            return kind
    return ""
