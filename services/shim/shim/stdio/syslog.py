"""The log driver `syslog`: BSD and RFC 5424 messages over a Unix socket, UDP, TCP or TLS, as Docker writes them."""

from __future__ import annotations

import os
import time

from shim.stdio.daemonlog import DaemonLog

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from shim.stdio.lines import Piece
    from shim.stdio.localfile import LocalFile
    from shim.stdio.remote import Remote

FORMATS: Final = frozenset({"", "rfc3164", "rfc5424", "rfc5424micro"})
_ERROR: Final = 3
_INFORMATION: Final = 6
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


class SyslogLog(DaemonLog):
    """Messages with one tag; standard error has severity err, standard output info."""

    def __init__(
        self,
        remote: Remote,
        cache: LocalFile | None,
        *,
        tag: str,
        facility: int,
        form: str,
        counted: bool,
    ) -> None:
        """``facility`` is the number 0 to 23; ``counted`` puts each message's length before it (RFC 5425)."""
        super().__init__(remote, cache)
        self._tag = tag
        self._facility = facility
        self._form = form
        self._counted = counted
        self._host = os.uname().nodename
        self._head: tuple[str, int, bytes] = ("", 0, b"")

    def message(self, stream: str, line: bytes, _piece: Piece | None, now: int) -> bytes:
        """One line, with its newline; empty lines are none."""
        if not line:
            return b""
        if self._head[:2] != (stream, now):
            # Records that came together have one time.
            self._head = (stream, now, self._made(stream, now))
        message = self._head[2] + line + b"\n"
        return b"%d %s" % (len(message), message) if self._counted else message

    def _made(self, stream: str, now: int) -> bytes:
        priority = self._facility << 3 | (_ERROR if stream == "stderr" else _INFORMATION)
        pid = os.getpid()
        if self._form.startswith("rfc5424"):
            moment = _rfc3339(now, micro=self._form.endswith("micro"))
            return f"<{priority}>1 {moment} {self._host} {self._tag} {pid} {self._tag} - ".encode()
        host = f"{self._host} " if self._form else ""
        return f"<{priority}>{_stamp(now)} {host}{self._tag}[{pid}]: ".encode()


def _stamp(now: int) -> str:
    at = time.localtime(now // 1_000_000_000)
    clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{_MONTHS[at.tm_mon - 1]} {at.tm_mday:>2} {clock}"


def _rfc3339(now: int, *, micro: bool) -> str:
    seconds, nanoseconds = divmod(now, 1_000_000_000)
    at = time.localtime(seconds)
    fraction = f".{nanoseconds // 1000:06}" if micro else ""
    offset = at.tm_gmtoff // 60
    sign = "-" if offset < 0 else "+"
    zone = f"{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}" if offset else "Z"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', at)}{fraction}{zone}"
