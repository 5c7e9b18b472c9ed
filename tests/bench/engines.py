"""The two engines: started with data of their own, driven by the same clients, stopped and removed again."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from tests.bench.client import DockerCli, HttpClient, RequestFailed

BASE: Final = "bench-base:latest"
LABEL: Final = "dockyard.bench"
_CLONE: Final = Path(__file__).parents[2]
_PATIENCE: Final = 60.0


class Engine(ABC):
    """One engine below a folder, with the operations that several cases share."""

    label: ClassVar[str]
    roles: ClassVar[dict[str, str]]
    """Which processes belong to the engine: pattern -> role; the first match counts.

    It is searched in "PARENT'S COMMAND LINE > COMMAND LINE": a forked process has the same words as its parent.
    """

    def __init__(self, root: Path, settings: Mapping[str, Any] | None = None) -> None:
        """``settings`` is what the engine's daemon.json says."""
        self.root = root
        self.settings = dict(settings or {})
        self.cli = DockerCli(f"unix://{self.socket}", str(self.work / "client"))
        self.http = HttpClient(str(self.socket))

    @classmethod
    def role(cls, family: str) -> str | None:
        """The role of a process in this engine, None if it is not a part of it. ``family``: see ``roles``."""
        return next((role for words, role in cls.roles.items() if re.search(words, family)), None)

    @property
    def work(self) -> Path:
        """Where a run's files are, those of both engines."""
        return self.root.parent

    @property
    def socket(self) -> Path:
        """Where the Engine API is served."""
        return self.root / "docker.sock"

    @abstractmethod
    def start(self) -> None:
        """Start the daemons and wait until they serve."""

    @abstractmethod
    def stop(self) -> None:
        """Stop the daemons and remove what they made outside of the folder."""

    @abstractmethod
    def versions(self) -> str:
        """What runs here, in words for the report."""

    def create(self, *command: str, **host: Any) -> str:
        """A container of the base image; ``host``: fields of HostConfig."""
        body = {
            "Image": BASE,
            "Cmd": command or ("sleep", "1000"),
            "Labels": {LABEL: "1"},
            "HostConfig": host,
            "ExposedPorts": {port: {} for port in host.get("PortBindings", ())},
        }
        return str(self.http.json("POST", "/containers/create", body)["Id"])

    def act(self, container: str, verb: str) -> None:
        """One operation without a body: start, stop, wait …"""
        self.http.raw("POST", f"/containers/{container}/{verb}")

    def launch(self, *command: str, **host: Any) -> str:
        """Create and start."""
        container = self.create(*command, **host)
        self.act(container, "start")
        return container

    def remove(self, container: str) -> None:
        """Kill and remove."""
        self.http.raw("DELETE", f"/containers/{container}?force=1&v=1")

    def inspect(self, container: str) -> dict[str, Any]:
        """`docker inspect`."""
        found: dict[str, Any] = self.http.json("GET", f"/containers/{container}/json")
        return found

    @contextlib.contextmanager
    def running(self, *command: str, **host: Any) -> Iterator[str]:
        """A container for the length of a block; after a failure ``sweep`` removes it."""
        container = self.launch(*command, **host)
        yield container
        self.remove(container)

    def sweep(self) -> None:
        """Remove all containers."""
        for container in self.http.json("GET", "/containers/json?all=1"):
            with contextlib.suppress(RequestFailed):
                self.remove(container["Id"])


class Dockyard(Engine):
    """This clone's engine, started as a user starts it."""

    label = "Dockyard"
    roles = {
        r"> .*build/bin/dockerd": "dockerd",
        r"build/bin/containerd .*> .*build/bin/containerd-shim-dockyard-v1 .*forkserver": "forkserver",
        r"> .*build/bin/containerd-shim-dockyard-v1": "shims",
        r"> .*build/bin/containerd": "containerd",
        r"> .*build/bin/dockyard": "supervisor",
    }

    def start(self) -> None:
        self.root.mkdir()
        (self.root / "daemon.json").write_text(json.dumps(self.settings))
        self._dockyard("up")

    def stop(self) -> None:
        self._dockyard("clean")

    def versions(self) -> str:
        about = self.http.json("GET", "/version")
        python = next(
            (part["Details"]["PythonVersion"] for part in about["Components"]
             if "PythonVersion" in part.get("Details", {})),
            None,
        )  # fmt: skip
        commit = subprocess.run(
            ["git", "-C", str(_CLONE), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
        words = [about["Version"], f"API {about['ApiVersion']}", f"commit {commit or 'unknown'}"]
        return ", ".join(words + ([f"Python {python}"] if python else []))

    def _dockyard(self, verb: str) -> None:
        done = subprocess.run(
            [_CLONE / "build/bin/dockyard", verb, "--root", self.root],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RequestFailed(f"dockyard {verb}: {done.stderr.strip()}")


class DebianDocker(Engine):
    """Debian's dockerd, containerd, shim and runc, as its units start them, but with paths of their own and without CRI."""

    label = "Docker"
    roles = {
        r"> /usr/sbin/dockerd": "dockerd",
        r"> /usr/bin/containerd-shim-runc-v2": "shims",
        r"> /usr/bin/containerd": "containerd",
        r"> /usr/s?bin/docker-proxy": "docker-proxy",
    }

    def __init__(self, root: Path, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(root, settings)
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        self.root.mkdir()
        address = self.root / "containerd.sock"
        settings = self.root / "containerd.toml"
        # Docker does not use CRI; without it containerd is smaller, as one that dockerd starts itself.
        settings.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        self._spawn(
            *("/usr/bin/containerd", "--config", settings, "--address", address),
            *("--root", self.root / "containerd", "--state", self.root / "run/containerd"),
        )
        _await_socket(address)
        configuration = self.root / "daemon.json"
        configuration.write_text(json.dumps(self.settings))
        self._spawn(
            *("/usr/sbin/dockerd", "--config-file", configuration, "--containerd", address),
            *("--data-root", self.root / "docker", "--exec-root", self.root / "run/docker"),
            *("--pidfile", self.root / "dockerd.pid", "-H", f"unix://{self.socket}"),
        )
        _await_socket(self.socket)
        self.http.raw("GET", "/_ping")

    def _spawn(self, *command: str | Path) -> None:
        name = Path(command[0]).name
        with (self.root / f"{name}.log").open("wb") as log:
            self._daemons.append(
                subprocess.Popen(
                    list(map(str, command)),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def stop(self) -> None:
        for daemon in reversed(self._daemons):
            daemon.terminate()
            daemon.wait(_PATIENCE)

    def versions(self) -> str:
        about = self.http.json("GET", "/version")
        parts = {part["Name"]: part["Version"] for part in about["Components"]}
        package = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", "docker.io"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        return (
            f"Debian docker.io {package}, API {about['ApiVersion']}, "
            f"containerd {parts['containerd']}, runc {parts['runc']}"
        )


def _await_socket(path: Path) -> None:
    """A foreign daemon tells nobody when it serves: dial until it does."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
        time.sleep(0.05)


def missing_programs() -> list[str]:
    """What this machine lacks for a run."""
    wanted = ("docker", "/usr/sbin/dockerd", "/usr/bin/containerd", "/usr/sbin/runc", "busybox")
    return [name for name in wanted if shutil.which(name) is None]
