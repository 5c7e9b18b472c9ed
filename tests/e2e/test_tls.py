"""The API over TLS, with the real CLI: who may come in, and streams whose ends close one at a time."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import certificates
from tests.support.certificates import Certificates
from tests.support.dockerd import Dockerd, own_dockerd
from tests.support.images import BUSYBOX
from tests.support.stack import Terminal, wait_until

from dockerd.api import tls
from dockerd.config import TLSFiles
from wire.errors import InvalidArgument


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@dataclass
class Remote(Dockerd):
    """The daemon as a client with a certificate sees it."""

    port: int = 0
    identity: Path = Path()

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DOCKER_HOST": f"tcp://127.0.0.1:{self.port}",
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CERT_PATH": str(self.identity),
            "DOCKER_CONFIG": str(self.root / "client"),
            "DOCKER_CLI_HINTS": "false",
        }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def local(made: Certificates) -> Iterator[tuple[Dockerd, int]]:
    with own_dockerd() as daemon:
        port = free_port()
        daemon.start("-H", f"tcp://127.0.0.1:{port}", "--tlsverify", *made.flags)
        yield daemon, port


@pytest.fixture(scope="module")
def whole(local: tuple[Dockerd, int], made: Certificates) -> Remote:
    return Remote(local[0].root, port=local[1], identity=made.client("alice"))


@pytest.fixture
def remote(whole: Remote) -> Iterator[Remote]:
    yield whole
    whole.remove_all()


def test_answers(remote: Remote) -> None:
    assert remote.docker("version", "-f", "{{.Server.Platform.Name}}") == "Dockyard"
    assert "without --tlsverify" not in remote.log
    assert remote.docker("run", "--rm", BUSYBOX, "echo", "hello") == "hello"
    assert remote.call("run", "--rm", BUSYBOX, "sh", "-c", "exit 7").code == 7
    assert remote.docker("wait", remote.docker("run", "-d", BUSYBOX, "sh", "-c", "exit 3")) == "3"


def test_end_of_standard_input_ends_nothing_else(remote: Remote) -> None:
    """findings of clients that half-close: what comes back after the end of the input must all arrive."""
    data = os.urandom(12 << 20)
    digest = hashlib.sha256(data).hexdigest()
    remote.docker("run", "-d", "--name", "runs", BUSYBOX, "sleep", "600")
    done = remote.call("exec", "-i", "runs", "cat", stdin=data, binary=True)
    assert (done.returncode, hashlib.sha256(done.stdout).hexdigest()) == (0, digest)
    done = remote.call("run", "-i", "--rm", BUSYBOX, "cat", stdin=data, binary=True)
    assert (done.returncode, hashlib.sha256(done.stdout).hexdigest()) == (0, digest)
    late = remote.docker(
        "exec", "-i", "runs", "sh", "-c", "cat >/dev/null; sleep 0.3; echo late", stdin=b"x"
    )
    assert late == "late"


def test_attach_with_input(remote: Remote) -> None:
    remote.docker(
        "create", "-i", "--name", "reads", BUSYBOX, "sh", "-c", "read a; echo got $a; cat; echo end"
    )
    process = remote.popen("start", "-ai", "reads", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(b"one\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"got one\n"
        second = remote.popen("attach", "--no-stdin", "reads", stdout=subprocess.PIPE)
        wait_until(lambda: _attached(remote) == 2, what="the second client")
        process.stdin.write(b"two\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"two\n"
        process.stdin.close()
        assert process.stdout.read() == b"end\n"
    assert process.returncode == 0
    with second:
        assert second.stdout is not None
        assert second.stdout.read().endswith(b"end\n")


def _attached(remote: Remote) -> int:
    query = f'since=1&until={time.time()}&filters={{"event":["attach"],"container":["reads"]}}'
    _, found = remote.request("GET", f"/events?{query}")
    if isinstance(found, dict):
        return 1
    return len(found.splitlines())


def test_terminal(remote: Remote) -> None:
    terminal = Terminal(remote, "run", "-it", "--name", "shell", BUSYBOX, "sh")
    terminal.expect("# ")
    terminal.send("echo $((40 + 2))\n")
    terminal.expect("42")
    terminal.send("\x10\x11")
    assert terminal.wait() == 0
    assert remote.inspect("shell")["State"]["Running"]
    terminal = Terminal(remote, "attach", "shell")
    terminal.send("exit 5\n")
    assert terminal.wait() == 5


def test_slow_reader_is_waited_for(remote: Remote) -> None:
    """Neither side's buffers grow without bound, and nothing is lost."""
    remote.docker("run", "-d", "--name", "talks", BUSYBOX, "sleep", "600")
    process = remote.popen(
        *("exec", "talks", "sh", "-c", "dd if=/dev/zero bs=1M count=64 2>/dev/null; echo end >&2"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process:
        first = len(process.stdout.read(1 << 20))
        rest = 0
        while data := process.stdout.read(1 << 20):
            rest += len(data)
    assert first + rest == 64 << 20


def test_logs_events_and_archives(remote: Remote, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(3 << 20))
    remote.docker("create", "--name", "box", BUSYBOX, "sh", "-c", "echo one; sleep 0.2; echo two")
    remote.docker("cp", str(tmp_path / "file"), "box:/file")
    remote.docker("start", "box")
    assert remote.docker("logs", "-f", "box") == "one\ntwo"
    remote.docker("cp", "box:/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()


def test_no_certificate(remote: Remote) -> None:
    environment = {**remote.environment, "DOCKER_CERT_PATH": "", "DOCKER_TLS_VERIFY": ""}
    ca = str(remote.identity / "ca.pem")
    done = subprocess.run(
        ["docker", "--tlsverify", "--tlscacert", ca, "version"],
        capture_output=True,
        env=environment,
        text=True,
    )
    assert done.returncode == 1
    assert "certificate required" in done.stderr


def test_certificate_of_somebody_else(remote: Remote, made: Certificates) -> None:
    made.authority("other")
    stranger = Remote(remote.root, port=remote.port, identity=made.client("mallory", "other"))
    assert "unknown certificate authority" in stranger.fails("version")
    remote.docker("version")


def test_without_tls(remote: Remote) -> None:
    """Plain HTTP gets an end, and nobody who is silent holds others up."""
    with socket.create_connection(("127.0.0.1", remote.port)) as silent:
        with socket.create_connection(("127.0.0.1", remote.port)) as plain:
            plain.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\n\r\n")
            plain.settimeout(10)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while data := plain.recv(4096):
                    answer += data
            assert b"HTTP/1.1 200" not in answer
        remote.docker("version")
        silent.sendall(b"\0")
    old = [
        "s_client",
        "-connect",
        f"127.0.0.1:{remote.port}",
        "-tls1_1",
        "-cipher",
        "ALL:@SECLEVEL=0",
    ]
    done = subprocess.run(["openssl", *old], stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 1


def test_nothing_is_left_open(remote: Remote) -> None:
    remote.docker("run", "-d", "--name", "runs", BUSYBOX, "sleep", "600")

    def descriptors() -> int:
        return int(json.loads(remote.docker("info", "-f", "{{json .}}"))["NFd"])

    remote.docker("exec", "runs", "true")
    before = descriptors()
    for _ in range(5):
        remote.docker("exec", "-i", "runs", "cat", stdin=b"x")
        remote.fails("exec", "runs", "false")
    wait_until(lambda: descriptors() <= before, what="connections to be closed")


def test_configuration_errors(made: Certificates, tmp_path: Path) -> None:
    folder = made.folder
    key = f"{folder}/server-key.pem"
    for ca, certificate, words in (
        (f"{folder}/ca.pem", "/nowhere", "could not load X509 key pair"),
        (f"{tmp_path}/ca.pem", f"{folder}/server.pem", "could not read CA certificate"),
        (f"{folder}/ca.pem", f"{folder}/ca.pem", "error reading X509 key pair"),
    ):
        files = TLSFiles(ca=ca, certificate=certificate, key=key, verify=True)
        with pytest.raises(InvalidArgument, match=f"invalid TLS configuration: {words}"):
            tls.context(files)


def test_warnings(made: Certificates) -> None:
    with own_dockerd(image=False) as daemon:
        daemon.start("-H", f"tcp://127.0.0.1:{free_port()}")
        assert "Binding to IP address without --tlsverify is insecure" in daemon.log
        daemon.stop()
        port = free_port()
        daemon.configure(
            tls=True,
            tlsverify=False,
            tlscert=f"{made.folder}/server.pem",
            tlskey=f"{made.folder}/server-key.pem",
        )
        daemon.start("-H", f"tcp://127.0.0.1:{port}")
        environment = {**os.environ, "DOCKER_CONFIG": str(daemon.root)}
        words = [
            "docker",
            "--tls",
            "--tlscacert",
            f"{made.folder}/ca.pem",
            "-H",
            f"tcp://127.0.0.1:{port}",
            "info",
            "-f",
            "{{.Name}}",
        ]
        done = subprocess.run(words, capture_output=True, env=environment, text=True)
        assert done.returncode == 0, done.stderr
