"""A minimal client of the Engine API over a unix socket: what `dockyard up` needs to prove that the stack runs containers."""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import Any, Final
from urllib.parse import quote

_TIMEOUT: Final = 120.0
_HEADER: Final = 8


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT)
        # Through the directory's descriptor, because ROOT may be longer than sun_path.
        directory = os.open(os.path.dirname(self._path), os.O_PATH | os.O_CLOEXEC)
        try:
            self.sock.connect(f"/proc/self/fd/{directory}/{os.path.basename(self._path)}")
        finally:
            os.close(directory)


class EngineFailure(Exception):
    """The daemon answered with an error; its message."""


class Engine:
    """Calls to one dockerd."""

    def __init__(self, path: str) -> None:
        self._path = path

    def call(self, method: str, path: str, body: bytes | dict[str, Any] | None = None) -> bytes:
        """One request; raises EngineFailure with the daemon's message on any status from 400."""
        payload = json.dumps(body).encode() if isinstance(body, dict) else body
        kind = "application/json" if isinstance(body, dict) else "application/x-tar"
        connection = _UnixConnection(self._path)
        try:
            connection.request(method, path, payload, {"Content-Type": kind} if payload else {})
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise EngineFailure(_message(data))
        return data

    def find_image(self, name: str) -> bool:
        """Whether the daemon has the image."""
        try:
            self.call("GET", f"/images/{quote(name, safe=':/')}/json")
        except EngineFailure:
            return False
        return True

    def load(self, archive: bytes) -> None:
        """Load an image archive; raises EngineFailure for a failure in the progress stream, too."""
        for line in self.call("POST", "/images/load?quiet=1", archive).splitlines():
            error = json.loads(line).get("error") if line.strip() else None
            if error:
                raise EngineFailure(error)

    def run(self, image: str) -> tuple[int, bytes]:
        """Run the image's command in a container that is removed afterwards: its exit code and its standard output."""
        host = {"NetworkMode": "none"}
        created = self.call("POST", "/containers/create", {"Image": image, "HostConfig": host})
        container = json.loads(created)["Id"]
        try:
            self.call("POST", f"/containers/{container}/start")
            waited = json.loads(self.call("POST", f"/containers/{container}/wait"))
            logs = self.call("GET", f"/containers/{container}/logs?stdout=1&stderr=1")
        finally:
            self.call("DELETE", f"/containers/{container}?force=1&v=1")
        return int(waited["StatusCode"]), _demultiplexed(logs)

    def list_containers(self) -> list[str]:
        """The ids of all containers, running or not."""
        return [entry["Id"] for entry in json.loads(self.call("GET", "/containers/json?all=1"))]

    def remove_container(self, container: str) -> None:
        """Kill and remove a container with its anonymous volumes."""
        self.call("DELETE", f"/containers/{container}?force=1&v=1")


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data.decode(errors="replace")


def _demultiplexed(data: bytes) -> bytes:
    output = bytearray()
    while len(data) >= _HEADER:
        size = int.from_bytes(data[4:_HEADER], "big")
        output += data[_HEADER : _HEADER + size]
        data = data[_HEADER + size :]
    return bytes(output)
