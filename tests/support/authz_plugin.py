"""An authorization plugin of our own: it remembers what it is asked, and denies what a test says."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Verdict = Callable[[dict[str, Any]], dict[str, Any]]


def allow(_asked: dict[str, Any]) -> dict[str, Any]:
    return {"Allow": True}


@dataclass
class AuthzPlugin:
    """``on_request`` and ``on_answer`` decide; ``requests`` and ``answers`` are what was asked, bodies decoded."""

    name: str
    kinds: list[str] = field(default_factory=lambda: ["authz"])
    on_request: Verdict = allow
    on_answer: Verdict = allow
    requests: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)

    def reset(self) -> None:
        self.on_request = self.on_answer = allow
        self.requests.clear()
        self.answers.clear()

    def respond(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        if path == "/Plugin.Activate":
            return {"Implements": self.kinds}
        for key in ("RequestBody", "ResponseBody"):
            if key in document:
                document[key] = base64.b64decode(document[key])
        if path == "/AuthZPlugin.AuthZReq":
            self.requests.append(document)
            return self.on_request(document)
        self.answers.append(document)
        return self.on_answer(document)


@contextlib.contextmanager
def running_plugin(sockets: Path, plugin: AuthzPlugin) -> Iterator[AuthzPlugin]:
    """The plugin, listening below a daemon's folder of plugins."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = json.dumps(plugin.respond(self.path, document)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def address_string(self) -> str:
            return "dockerd"

        def log_message(self, *_: object) -> None:
            pass

    sockets.mkdir(parents=True, exist_ok=True)
    path = sockets / f"{plugin.name}.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield plugin
        finally:
            server.shutdown()
            thread.join()
            path.unlink()
