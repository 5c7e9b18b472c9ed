"""A file from a web server, for `docker import URL`."""

from __future__ import annotations

import asyncio
import http.client
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from typing import Final

from wire.errors import InvalidArgument, Unknown

_CHUNK: Final = 1 << 18
_TIMEOUT: Final = 60.0


async def downloaded(url: str, told: Callable[[int, int], None]) -> AsyncIterator[bytes]:
    """The bytes of a file; ``told`` hears how many came, and of how many, 0 if nobody knows.

    Raises InvalidArgument for what is no http or https URL, Unknown.
    """
    # No other schemes: the daemon reads no files of its own for a client.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
    ):
        opener.add_handler(handler)
    try:
        response = await asyncio.to_thread(opener.open, url, timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        raise Unknown(f"failed to GET {url} with status {error.code} {error.reason}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise InvalidArgument(f"failed to GET {url}: {error}") from error
    if response is None:
        raise InvalidArgument(f"failed to GET {url}: unsupported protocol scheme")
    with response:
        length = response.headers.get("Content-Length") or ""
        total = int(length) if length.isascii() and length.isdigit() else 0
        current = 0
        while True:
            try:
                data = await asyncio.to_thread(response.read, _CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise Unknown(f"failed to GET {url}: {error}") from error
            if not data:
                if current < total:
                    raise Unknown(f"failed to GET {url}: unexpected EOF")
                return
            current += len(data)
            told(current, total)
            yield data
