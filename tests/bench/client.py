"""Two clients of an engine: HTTP requests on kept connections, and the docker CLI."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import IO, Any, Final

_TIMEOUT: Final = 300
_API: Final = "/v1.41"
_CHUNK: Final = 1 << 17


class RequestFailed(Exception):
    """The engine, or the CLI, refused; its words."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(_TIMEOUT)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True)
class Output:
    """What a docker command took and wrote to standard output."""

    seconds: float
    lines: int
    digest: str


class HttpClient:
    """Engine API requests; each thread keeps one connection alive."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._local = threading.local()

    def forget(self) -> None:
        """Dial anew with the next request."""
        self._local = threading.local()

    def raw(self, method: str, path: str, body: Any = None) -> bytes:
        """The body of an answer; raises RequestFailed with the engine's message from status 400 on."""
        if not hasattr(self._local, "connection"):
            self._local.connection = _UnixConnection(self._path)
        connection: _UnixConnection = self._local.connection
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} if data else {}
        try:
            connection.request(method, _API + path, data, headers)
            response = connection.getresponse()
            payload = response.read()
        except BaseException:
            connection.close()
            raise
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            words = payload.decode(errors="replace")
            where = path.partition("?")[0]
            raise RequestFailed(f"{method} {where}: {response.status} {words}")
        return payload

    def json(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded body of an answer."""
        return json.loads(self.raw(method, path, body) or b"null")


class DockerCli:
    """The docker CLI, pointed at one engine."""

    def __init__(self, url: str, settings: str) -> None:
        """``settings``: the folder of the CLI's configuration, so that the caller's own plays no part."""
        self._command = ["timeout", "--foreground", str(_TIMEOUT), "docker", "-H", url]
        inherited = {name: value for name, value in os.environ.items() if "DOCKER" not in name}
        self._environment = {
            **inherited,
            "DOCKER_CONFIG": settings,
            "DOCKER_CLI_HINTS": "false",
            "DOCKER_BUILDKIT": "0",
        }

    def __call__(self, *words: str, stdin: IO[bytes] | int = subprocess.DEVNULL) -> Output:
        """One command that must succeed; its output is read, counted and digested, not kept."""
        buffer, lines, digest = bytearray(_CHUNK), 0, hashlib.sha256()
        start = time.perf_counter()
        with subprocess.Popen(
            [*self._command, *words],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment,
            bufsize=0,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            # raw, unbuffered
            while size := process.stdout.readinto(buffer):  # type: ignore[attr-defined]
                lines += buffer.count(b"\n", 0, size)
                digest.update(memoryview(buffer)[:size])
            words_of_failure = process.stderr.read()[-300:].decode(errors="replace")
        if process.returncode:
            raise RequestFailed(f"docker {words[0]}: exit {process.returncode}: {words_of_failure}")
        return Output(time.perf_counter() - start, lines, digest.hexdigest())
