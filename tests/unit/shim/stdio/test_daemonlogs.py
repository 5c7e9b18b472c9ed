"""`journald` and `syslog`, with sockets of ours in the daemons' place."""

from __future__ import annotations

import os
import re
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from shim.loop import READ, Loop
from shim.stdio import uri
from shim.stdio.drivers import open_log
from shim.stdio.lines import LONGEST, LineLog
from shim.stdio.localfile import LocalFile
from shim.succession import Refusal
from wire.errors import FailedPrecondition, InvalidArgument


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


class Side:
    """A log, and what its daemon has received."""

    def __init__(self, loop: Loop, scheme: str, path: str = "", **values: str) -> None:
        self.loop = loop
        self.resumed = 0
        target = uri.parse(f"{scheme}://{quote(path)}?{urlencode(values, quote_via=quote)}")
        self.log: LineLog = open_log(loop, target, self._resume)

    def _resume(self) -> None:
        self.resumed += 1

    def ready(self) -> None:
        """Connect; raises what the driver does."""
        failures: list[BaseException] = []

        async def connect() -> None:
            try:
                await self.log.ready()
            except FailedPrecondition as error:
                failures.append(error)
            self.loop.stop()

        if not self.loop.spawn(connect()).done:
            self.loop.run()
        if failures:
            raise failures[0]


def until(
    loop: Loop, server: socket.socket, done: Callable[[], bool], take: Callable[[], None]
) -> None:
    """Run the shim's loop until the daemon has what it waits for."""

    def readable(_events: int) -> None:
        take()
        if done():
            loop.stop()

    loop.watch(server.fileno(), READ, readable)
    loop.later(20, loop.stop)
    loop.run()
    loop.forget(server.fileno())
    assert done()


def journal_fields(data: bytes) -> dict[str, bytes]:
    """One entry of the native protocol."""
    found, at = {}, 0
    while at < len(data):
        end = data.index(b"\n", at)
        name, equals, value = data[at:end].partition(b"=")
        at = end + 1
        if not equals:
            (size,) = struct.unpack_from("<Q", data, at)
            value = data[at + 8 : at + 8 + size]
            at += 8 + size + 1
        found[name.decode()] = value
    return found


def test_journald(loop: Loop, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        server.settimeout(10)
        fields = '{"CONTAINER_ID": "abc", "ODD": "two\\nlines"}'
        side = Side(loop, "journald", path, fields=fields, cache=str(tmp_path / "cache"))
        side.ready()
        side.log.write("stdout", b"hello\n")
        side.log.write("stderr", b"x" * LONGEST + b"end\n")
        first, second, third = (journal_fields(server.recv(1 << 20)) for _ in range(3))
        assert first["MESSAGE"] == b"hello"
        assert (first["PRIORITY"], second["PRIORITY"]) == (b"6", b"3")
        assert (first["CONTAINER_ID"], first["ODD"]) == (b"abc", b"two\nlines")
        assert re.fullmatch(rb"\d{4}-.*Z", first["SYSLOG_TIMESTAMP"])
        assert [each["CONTAINER_LOG_ORDINAL"] for each in (first, second, third)] == [
            b"1",
            b"2",
            b"3",
        ]
        assert "CONTAINER_PARTIAL_ID" not in first
        assert second["CONTAINER_PARTIAL_MESSAGE"] == b"true"
        assert (second["CONTAINER_PARTIAL_LAST"], third["CONTAINER_PARTIAL_LAST"]) == (
            b"false",
            b"true",
        )
        assert third["MESSAGE"] == b"end"
        assert second["CONTAINER_PARTIAL_ID"] == third["CONTAINER_PARTIAL_ID"]
        replayed: list[bytes] = []
        side.log.replay(lambda _, text: replayed.append(text))
        assert b"".join(replayed) == b"hello\n" + b"x" * LONGEST + b"end\n"
        side.log.close()


def test_what_is_too_large_for_a_datagram_goes_by_descriptor(loop: Loop, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(path)
        server.settimeout(10)
        fields = '{"LARGE": "%s"}' % ("y" * 1_000_000)
        side = Side(loop, "journald", path, fields=fields)
        side.ready()
        side.log.write("stdout", b"hello\n")
        _, (descriptor,), _, _ = socket.recv_fds(server, 100, 1)
        with open(descriptor, "rb") as file:
            found = journal_fields(os.pread(file.fileno(), 2_000_000, 0))
        assert (found["MESSAGE"], len(found["LARGE"])) == (b"hello", 1_000_000)
        side.log.close()


@pytest.mark.parametrize("network", ["udp", "unixgram"])
@pytest.mark.parametrize("form", ["", "rfc3164", "rfc5424", "rfc5424micro"])
def test_syslog_formats(loop: Loop, tmp_path: Path, network: str, form: str) -> None:
    family = socket.AF_INET if network == "udp" else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0) if network == "udp" else str(tmp_path / "s"))
        server.settimeout(10)
        values = {"network": network, "facility": "16", "tag": "me", "format": form}
        if network == "udp":
            values |= {"host": "127.0.0.1", "port": str(server.getsockname()[1])}
        side = Side(loop, "syslog", str(tmp_path / "s") if network != "udp" else "", **values)
        side.ready()
        side.log.write("stdout", b"hello\n\n")
        side.log.write("stderr", b"oh\n")
        first, second = server.recv(1 << 16).decode(), server.recv(1 << 16).decode()
        host, pid = re.escape(os.uname().nodename), os.getpid()
        stamp = r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
        zone = r"(Z|[+-]\d\d:\d\d)"
        head = {
            "": rf"{stamp} me\[{pid}\]: ",
            "rfc3164": rf"{stamp} {host} me\[{pid}\]: ",
            "rfc5424": rf"1 \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d{zone} {host} me {pid} me - ",
            "rfc5424micro": rf"1 \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{6}}{zone} {host} me {pid} me - ",
        }[form]
        assert re.fullmatch(rf"<134>{head}hello\n", first), first
        assert re.fullmatch(rf"<131>{head}oh\n", second), second
        side.log.close()


def test_a_stream_that_breaks_is_made_again(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        side = Side(loop, "syslog", network="tcp", host="127.0.0.1", port=port, tag="t")
        side.ready()
        first, _ = server.accept()
        side.log.write("stdout", b"one\n")
        assert first.recv(100).endswith(b"one\n")
        first.close()
        accepted: list[socket.socket] = []

        def accept() -> None:
            accepted.append(server.accept()[0])

        # The shim learns of the end, and what comes then waits for the next connection.
        loop.later(0.1, lambda: side.log.write("stdout", b"two\n"))
        until(loop, server, lambda: bool(accepted), accept)
        data = bytearray()
        until(
            loop, accepted[0], lambda: b"two\n" in data, lambda: data.extend(accepted[0].recv(100))
        )
        accepted[0].close()
        side.log.close()


def test_a_slow_daemon_holds_up_a_log_that_blocks(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        values = {"network": "tcp", "host": "127.0.0.1", "port": port, "tag": "t"}
        side = Side(loop, "syslog", **values)
        side.ready()
        connection, _ = server.accept()
        sent = 0
        while not side.log.full:
            side.log.write("stdout", b"%09d\n" % sent * 1000)
            sent += 1000
        with pytest.raises(Refusal):
            side.log.held()
        received = 0

        def take() -> None:
            nonlocal received
            received += connection.recv(1 << 20).count(b"\n")

        until(loop, connection, lambda: received == sent, take)
        assert side.resumed
        assert not side.log.full
        assert side.log.held() == {}
        connection.close()
        side.log.close()


def test_a_slow_daemon_costs_lines_where_the_log_does_not_block(loop: Loop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        values = {"network": "tcp", "host": "127.0.0.1", "port": port, "mode": "non-blocking"}
        side = Side(loop, "syslog", **values, **{"max-buffer-size": "10000"})
        side.ready()
        connection, _ = server.accept()
        for _ in range(20000):
            side.log.write("stdout", b"x" * 1000 + b"\n")
            assert not side.log.full
        connection.close()
        side.log.close()


def test_over_tls_with_lengths(loop: Loop, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "cert"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:
        values = {
            "network": "tcp+tls", "host": "localhost", "port": str(server.getsockname()[1]), "tag": "t",
            "format": "rfc5424", "ca": str(certificate),
        }  # fmt: skip
        side = Side(loop, "syslog", **values)
        received: list[bytes] = []

        def serve() -> None:
            with context.wrap_socket(server.accept()[0], server_side=True) as connection:
                received.append(connection.recv(1000))

        import threading

        thread = threading.Thread(target=serve)
        thread.start()
        side.ready()
        side.log.write("stdout", b"hello\n")
        thread.join(10)
        size, _, message = received[0].partition(b" ")
        assert len(message) == int(size)
        assert message.endswith(b"hello\n")
        side.log.close()


def test_nobody_is_there(loop: Loop, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    side = Side(loop, "syslog", network="tcp", host="127.0.0.1", port=port)
    words = rf"failed to initialize logging driver: dial tcp 127\.0\.0\.1:{port}: connect: connection refused"
    with pytest.raises(FailedPrecondition, match=words):
        side.ready()
    # As a shim that takes over: the container goes on, and the copy is written.
    cache = str(tmp_path / "cache")
    side = Side(loop, "syslog", network="tcp", host="127.0.0.1", port=port, cache=cache)
    for _ in range(2000):
        side.log.write("stdout", b"x" * 1000 + b"\n")
    assert not side.log.full
    replayed: list[bytes] = []
    LocalFile(cache, 0, 1).replay(lambda _, text: replayed.append(text))
    assert len(replayed) == 2000
    side.log.close()


@pytest.mark.parametrize(
    "text",
    ["syslog:///?network=sctp", "syslog:///?network=udp&format=x", "journald:///x?fields=1", "local:///x?fields={}"],
)  # fmt: skip
def test_what_is_not_understood(loop: Loop, text: str) -> None:
    with pytest.raises(InvalidArgument):
        open_log(loop, uri.parse(text), lambda: None)
