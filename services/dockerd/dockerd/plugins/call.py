"""One call of a plugin: a POST with JSON both ways."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from typing import TYPE_CHECKING, Any, Final

from dockerd.plugins.address import Address, TLSFiles
from wire import jsontext
from wire.errors import Internal, Unavailable

if TYPE_CHECKING:
    import http.client
    import ssl

_MEDIA_TYPE: Final = "application/vnd.docker.plugins.v1.2+json"
_LARGEST: Final = 16 << 20
_DEADLINE: Final = 120.0
_PATIENCE: Final = 30.0


async def call(
    address: Address, method: str, document: dict[str, Any], *, patience: float = _PATIENCE
) -> dict[str, Any]:
    """The answer to ``method``, such as ``VolumeDriver.Mount``.

    For ``patience`` seconds a plugin that cannot be reached is tried again, after pauses of 1, 2, 4… seconds as upstream: it
    may be starting. Raises Unavailable after that, Internal with the plugin's own words for what it refuses.
    """
    body = json.dumps(document).encode()
    started, pause = time.monotonic(), 1.0
    while True:
        try:
            return await asyncio.to_thread(_exchange, address, method, body)
        except OSError as error:
            if time.monotonic() - started + pause >= patience:
                raise Unavailable(
                    f"plugin {address.name}: {method}: {error.strerror or error}"
                ) from None
        await asyncio.sleep(pause)
        pause *= 2


def _exchange(address: Address, method: str, body: bytes) -> dict[str, Any]:
    # Imported late: few daemons have plugins, and http.client brings the email package.
    import http.client

    connection = _connection(address)
    try:
        headers = {"Accept": _MEDIA_TYPE, "Content-Type": _MEDIA_TYPE, "Host": "plugin"}
        connection.request("POST", f"/{method}", body, headers)
        response = connection.getresponse()
        content = response.read(_LARGEST + 1)
    except http.client.HTTPException as error:
        raise Internal(f"{address.name}: {method}: {error!r}") from None
    finally:
        connection.close()
    if len(content) > _LARGEST:
        raise Internal(f"{address.name}: {method}: the answer is larger than {_LARGEST} bytes")
    return _understood(address, method, response.status, content)


def _understood(address: Address, method: str, status: int, content: bytes) -> dict[str, Any]:
    document: Any = None
    with contextlib.suppress(ValueError):
        document = jsontext.loads(content or b"{}")
    words = document.get("Err") if isinstance(document, dict) else None
    if status != 200:
        text = words or content.decode(errors="replace").strip()
        raise Internal(f"{method}: {text}" if text else f"{method}: status {status}")
    if not isinstance(document, dict):
        raise Internal(f"{address.name}: {method}: the answer is not a JSON object")
    if words:
        raise Internal(f"{method}: {words}")
    return document


def _connection(address: Address) -> http.client.HTTPConnection:
    import http.client

    class Local(http.client.HTTPConnection):
        """HTTP over a Unix socket."""

        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(address.target)

    if address.scheme == "unix":
        return Local("plugin", timeout=_DEADLINE)
    if address.tls is not None or address.scheme == "https":
        context = _context(address.tls or TLSFiles())
        return http.client.HTTPSConnection(address.target, timeout=_DEADLINE, context=context)
    return http.client.HTTPConnection(address.target, timeout=_DEADLINE)


def _context(files: TLSFiles) -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context(cafile=files.ca or None)
    if not files.ca:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if files.certificate:
        context.load_cert_chain(files.certificate, files.key or None)
    return context
