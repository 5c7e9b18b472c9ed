"""A volume plugin of the first generation that keeps its volumes in a folder of its own."""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Refusal(Exception):
    """What the plugin says no to."""


class VolumePlugin:
    """Its volumes, who has them mounted, and what was asked of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.options: dict[str, dict[str, str]] = {}
        self.mounted: dict[str, list[str]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.refuses: dict[str, str] = {}
        """Methods that fail, with the words that they fail with."""
        self.holds: dict[str, threading.Event] = {}
        """Methods that answer only when their event is set."""
        self._changed = threading.Condition()
        self._busy = threading.Lock()

    def answer(self, method: str, document: dict[str, Any]) -> dict[str, Any]:
        """Answer one call."""
        with self._changed:
            self.calls.append((method, document))
            self._changed.notify_all()
        # One thing at a time, as plugins do that keep books.
        with self._busy:
            if method in self.holds:
                self.holds[method].wait(60)
            if method in self.refuses:
                raise Refusal(self.refuses[method])
            if method == "Plugin.Activate":
                return {"Implements": ["VolumeDriver"]}
            verb = getattr(self, f"_{method.removeprefix('VolumeDriver.').lower()}")
            found: dict[str, Any] = verb(document)
            return found

    def called(self, method: str) -> list[dict[str, Any]]:
        """What ``method`` was called with."""
        return [document for name, document in self.calls if name == f"VolumeDriver.{method}"]

    def wait_for(self, method: str, count: int = 1, timeout: float = 30) -> None:
        """Return when ``method`` has been called so many times."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.called(method)) >= count, timeout)

    def settle(self) -> None:
        """Return when nothing is under way."""
        with self._busy:
            pass

    def place(self, name: str) -> Path:
        """Where a volume's files are."""
        return self.folder / name

    def _capabilities(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"Capabilities": {"Scope": "global"}}

    def _create(self, document: dict[str, Any]) -> dict[str, Any]:
        options = document.get("Opts") or {}
        if "bad" in options:
            raise Refusal("bad is no option of mine")
        self.options[document["Name"]] = options
        self.place(document["Name"]).mkdir(parents=True, exist_ok=True)
        return {}

    def _remove(self, document: dict[str, Any]) -> dict[str, Any]:
        name = self._known(document)
        if self.mounted.get(name):
            raise Refusal(f"{name} is mounted for {self.mounted[name]}")
        shutil.rmtree(self.place(name))
        del self.options[name]
        return {}

    def _mount(self, document: dict[str, Any]) -> dict[str, Any]:
        name = self._known(document)
        self.mounted.setdefault(name, []).append(document["ID"])
        return {"Mountpoint": str(self.place(name))}

    def _unmount(self, document: dict[str, Any]) -> dict[str, Any]:
        name = self._known(document)
        if document["ID"] not in self.mounted.get(name, []):
            raise Refusal(f"{name} is not mounted for {document['ID']}")
        self.mounted[name].remove(document["ID"])
        return {}

    def _get(self, document: dict[str, Any]) -> dict[str, Any]:
        return {"Volume": self._view(self._known(document)) | {"Status": {"colour": "blue"}}}

    def _list(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"Volumes": [self._view(name) for name in self.options]}

    def _path(self, document: dict[str, Any]) -> dict[str, Any]:
        return {"Mountpoint": str(self.place(self._known(document)))}

    def _view(self, name: str) -> dict[str, Any]:
        place = str(self.place(name)) if self.mounted.get(name) else ""
        return {"Name": name, "Mountpoint": place, "CreatedAt": "2026-01-02T03:04:05Z"}

    def _known(self, document: dict[str, Any]) -> str:
        name = str(document["Name"])
        if name not in self.options:
            raise Refusal(f"no volume {name}")
        return name


@contextlib.contextmanager
def volume_plugin(socket: Path, folder: Path) -> Iterator[VolumePlugin]:
    """Serve a plugin at ``socket``."""
    plugin = VolumePlugin(folder)
    with serving(plugin, socket):
        yield plugin


@contextlib.contextmanager
def serving(plugin: VolumePlugin, socket: Path) -> Iterator[None]:
    """Serve an existing one, which may have been away."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                status, document = 200, plugin.answer(self.path[1:], json.loads(body))
            except Refusal as refusal:
                status, document = 500, {"Err": str(refusal)}
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def address_string(self) -> str:
            return "plugin"

        def log_message(self, *_: object) -> None:
            pass

    socket.parent.mkdir(parents=True, exist_ok=True)
    with socketserver.ThreadingUnixStreamServer(str(socket), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield
        finally:
            socket.unlink(missing_ok=True)
            server.shutdown()
            thread.join()
