"""A stand-in for systemd's manager on a bus of its own: as much of D-Bus as a client of transient scopes sees."""

from __future__ import annotations

import os
import socket
import struct
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CALL, REPLY, ERROR, SIGNAL = 1, 2, 3, 4
OBJECT = "/org/freedesktop/systemd1"
INTERFACE = "org.freedesktop.systemd1.Manager"


class Reader:
    """Little-endian D-Bus values, by signature."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def align(self, size: int) -> None:
        self.at = -(-self.at // size) * size

    def number(self, code: str, size: int) -> Any:
        self.align(size)
        (value,) = struct.unpack_from(f"<{code}", self.data, self.at)
        self.at += size
        return value

    def text(self, short: bool = False) -> str:
        length = self.number("B", 1) if short else self.number("I", 4)
        value = self.data[self.at : self.at + length].decode()
        self.at += length + 1
        return value

    def value(self, signature: str) -> tuple[Any, str]:
        """The next value, and what is left of the signature."""
        kind, rest = signature[0], signature[1:]
        numbers = {
            "y": ("B", 1),
            "n": ("h", 2),
            "q": ("H", 2),
            "i": ("i", 4),
            "u": ("I", 4),
            "x": ("q", 8),
            "t": ("Q", 8),
        }
        if kind in numbers:
            return self.number(*numbers[kind]), rest
        if kind == "b":
            return bool(self.number("I", 4)), rest
        if kind == "d":
            return self.number("d", 8), rest
        if kind in "so":
            return self.text(), rest
        if kind == "g":
            return self.text(short=True), rest
        if kind == "v":
            return self.value(self.text(short=True))[0], rest
        if kind == "(":
            self.align(8)
            values = []
            while not rest.startswith(")"):
                value, rest = self.value(rest)
                values.append(value)
            return tuple(values), rest[1:]
        if kind == "a":
            length = self.number("I", 4)
            self.align(
                8 if rest[0] in "(xtd{" else {"y": 1, "g": 1, "n": 2, "q": 2}.get(rest[0], 4)
            )
            end, items = self.at + length, []
            after = rest
            while self.at < end:
                item, after = self.value(rest)
                items.append(item)
            return items, after if items else skipped(rest)
        raise ValueError(signature)

    def values(self, signature: str) -> list[Any]:
        found = []
        while signature:
            value, signature = self.value(signature)
            found.append(value)
        return found


def skipped(signature: str) -> str:
    """What follows the first complete type."""
    depth, at = 0, 0
    while True:
        letter = signature[at]
        depth += {"(": 1, ")": -1}.get(letter, 0)
        at += 1
        if depth == 0 and letter != "a":
            return signature[at:]


def packed_text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<I", len(data)) + data + b"\0"


def packed(
    kind: int, serial: int, fields: dict[int, tuple[str, Any]], signature: str, body: bytes
) -> bytes:
    """A whole message."""
    if signature:
        fields[8] = ("g", signature)
    head = b""
    for code, (form, value) in fields.items():
        head += b"\0" * (-len(head) % 8)
        head += bytes([code, len(form)]) + form.encode() + b"\0"
        if form == "g":
            head += bytes([len(value)]) + value.encode() + b"\0"
        else:
            head += b"\0" * (-len(head) % 4)
            head += struct.pack("<I", value) if form == "u" else packed_text(value)
    start = struct.pack("<cBBBII", b"l", kind, 1, 1, len(body), serial) + struct.pack(
        "<I", len(head)
    )
    return start + head + b"\0" * (-len(head) % 8) + body


@dataclass
class Manager:
    """Listens on `path`; makes the cgroups of scopes below `/sys/fs/cgroup/systemd` as systemd on cgroup v1 does."""

    path: Path
    refuse: str = ""
    exists_once: bool = False
    calls: list[tuple[str, list[Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.serial = 100
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self) -> None:
        self.listener.close()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            assert stream.read(1) == b"\0"
            uid = str(os.geteuid()).encode().hex()
            assert stream.readline().strip() == f"AUTH EXTERNAL {uid}".encode()
            connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
            assert stream.readline().strip() == b"BEGIN"
            while head := stream.read(16):
                length, serial, fields = struct.unpack_from("<III", head, 4)
                reader = Reader(head + stream.read(-(-fields // 8) * 8), 12)
                named = dict(reader.value("a(yv)")[0])
                arguments = Reader(stream.read(length)).values(named.get(8, ""))
                self.calls.append((named[3], arguments))
                self.answer(connection, serial, named[3], arguments)

    def send(
        self, connection: socket.socket, kind: int, fields: dict[int, tuple[str, Any]], *texts: Any
    ) -> None:
        self.serial += 1
        signature, body = "", b""
        for form, value in texts:
            signature += form
            body += b"\0" * (-len(body) % 4)
            body += struct.pack("<I", value) if form == "u" else packed_text(value)
        connection.sendall(packed(kind, self.serial, fields, signature, body))

    def answer(
        self, connection: socket.socket, serial: int, member: str, arguments: list[Any]
    ) -> None:
        to = {5: ("u", serial)}
        if member in {"StartTransientUnit", "StopUnit"}:
            if self.exists_once and member == "StartTransientUnit":
                self.exists_once = False
                name = ("s", "org.freedesktop.systemd1.UnitExists")
                return self.send(connection, ERROR, {**to, 4: name}, ("s", "Unit exists."))
            if self.refuse and member == "StartTransientUnit":
                name = ("s", "org.freedesktop.DBus.Error.AccessDenied")
                return self.send(connection, ERROR, {**to, 4: name}, ("s", self.refuse))
            if member == "StartTransientUnit":
                self.make(arguments)
            job = f"{OBJECT}/job/{serial}"
            self.send(connection, REPLY, to, ("o", job))
            signal = {1: ("o", OBJECT), 2: ("s", INTERFACE), 3: ("s", "JobRemoved")}
            # Another job's end comes first.
            self.send(
                connection,
                SIGNAL,
                dict(signal),
                ("u", 1),
                ("o", f"{OBJECT}/job/0"),
                ("s", "x"),
                ("s", "failed"),
            )
            return self.send(
                connection,
                SIGNAL,
                signal,
                ("u", serial),
                ("o", job),
                ("s", arguments[0]),
                ("s", "done"),
            )
        if member == "Hello":
            return self.send(connection, REPLY, to, ("s", ":1.7"))
        return self.send(connection, REPLY, to)

    def make(self, arguments: list[Any]) -> None:
        """The directory of the scope in the named hierarchy, with its processes, as systemd makes it."""
        properties = dict(arguments[2])
        parts = properties["Slice"].removesuffix(".slice").split("-")
        slices = ["-".join(parts[: at + 1]) + ".slice" for at in range(len(parts))]
        folder = Path("/sys/fs/cgroup/systemd", *slices, arguments[0])
        if folder.parents[len(slices)].exists():
            folder.mkdir(parents=True, exist_ok=True)
            for pid in properties["PIDs"]:
                (folder / "cgroup.procs").write_text(str(pid))

    def named(self, member: str) -> list[list[Any]]:
        """The arguments of every call of a method."""
        return [arguments for name, arguments in self.calls if name == member]
