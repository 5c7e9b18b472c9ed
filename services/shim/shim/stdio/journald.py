"""The log driver `journald`: systemd's native journal protocol, a datagram of fields for each record."""

from __future__ import annotations

import os
import socket
import struct

from shim.stdio.daemonlog import DaemonLog
from shim.stdio.lines import timestamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from shim.stdio.lines import Piece
    from shim.stdio.localfile import LocalFile
    from shim.stdio.remote import Remote

_ERROR: Final = b"3"
_INFORMATION: Final = b"6"


class JournaldLog(DaemonLog):
    """Records with the container's fields; standard error has priority err, standard output info."""

    def __init__(self, remote: Remote, cache: LocalFile | None, fields: dict[str, str]) -> None:
        super().__init__(remote, cache)
        with open("/dev/urandom", "rb", buffering=0) as file:
            epoch = file.read(32).hex()
        fixed = {**fields, "CONTAINER_LOG_EPOCH": epoch}
        self._fixed = b"".join(_field(key, value.encode()) for key, value in fixed.items())
        self._ordinal = 0

    def message(self, stream: str, line: bytes, piece: Piece | None, now: int) -> bytes:
        """All fields of one record."""
        self._ordinal += 1
        fields = [
            _field("MESSAGE", line),
            _field("PRIORITY", _ERROR if stream == "stderr" else _INFORMATION),
            self._fixed,
            _field("SYSLOG_TIMESTAMP", timestamp(piece.at if piece else now).encode()),
            _field("CONTAINER_LOG_ORDINAL", b"%d" % self._ordinal),
        ]
        if piece is not None:
            fields += [
                _field("CONTAINER_PARTIAL_ID", piece.identity.encode()),
                _field("CONTAINER_PARTIAL_ORDINAL", b"%d" % piece.ordinal),
                _field("CONTAINER_PARTIAL_LAST", b"true" if piece.last else b"false"),
            ]
            if not piece.last:
                fields.append(_field("CONTAINER_PARTIAL_MESSAGE", b"true"))
        return b"".join(fields)


def oversized(connection: socket.socket, message: bytes) -> None:
    """What is too large for a datagram goes as a sealed file in memory."""
    # F_ADD_SEALS with F_SEAL_SEAL, SHRINK, GROW and WRITE.
    import fcntl

    descriptor = os.memfd_create("journal", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.write(descriptor, message)
        fcntl.fcntl(descriptor, 1033, 0xF)
        socket.send_fds(connection, [b""], [descriptor])
    finally:
        os.close(descriptor)


def _field(key: str, value: bytes) -> bytes:
    if b"\n" in value:
        return key.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
    return key.encode() + b"=" + value + b"\n"
