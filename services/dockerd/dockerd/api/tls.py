"""TLS for the API's TCP listeners: a protocol around HTTP's that can half-close, and lend its connection to a shim.

asyncio's own TLS ends a connection when the client says that it sends nothing more, which the docker CLI does at the end of
standard input; and it closes without an alert when a client shows no certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, cast

from dockerd.config import TLSFiles
from wire.errors import InvalidArgument

logger = logging.getLogger(__name__)

_CHUNK: Final = 256 << 10
_HANDSHAKE: Final = 60.0
_LINGER: Final = 5.0


def context(files: TLSFiles) -> ssl.SSLContext:
    """What listeners show and demand; raises InvalidArgument in the original's words."""
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.minimum_version = ssl.TLSVersion.TLSv1_2
    pair = f'(cert: "{files.certificate}", key: "{files.key}")'
    try:
        # A key with a passphrase would be asked for on the terminal.
        found.load_cert_chain(files.certificate, files.key, password=lambda: "")
    except FileNotFoundError as error:
        raise InvalidArgument(
            f"invalid TLS configuration: could not load X509 key pair {pair}: {error.strerror}"
        ) from None
    except (OSError, ValueError) as error:
        raise InvalidArgument(
            f"invalid TLS configuration: error reading X509 key pair - make sure the key is not encrypted {pair}: {error}"
        ) from None
    if files.verify:
        found.verify_mode = ssl.CERT_REQUIRED
        try:
            found.load_verify_locations(files.ca)
        except OSError as error:
            raise InvalidArgument(
                f'invalid TLS configuration: could not read CA certificate "{files.ca}": {error.strerror or error}'
            ) from None
    return found


def identity(transport: asyncio.BaseTransport) -> dict[str, Any]:
    """``name`` (the common name) and ``certificate`` (DER) of the client of a connection; empty for one without."""
    session = transport.get_extra_info("ssl_object")
    certificate = session.getpeercert(binary_form=True) if session is not None else None
    if not certificate:
        return {}
    subject = session.getpeercert().get("subject", ())
    names = [value for part in subject for key, value in part if key == "commonName"]
    return {"name": names[0] if names else "", "certificate": certificate}


class SecureProtocol(asyncio.Protocol):
    """One connection: records of TLS below, the protocol that ``factory`` makes above."""

    def __init__(
        self, context: ssl.SSLContext, factory: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._factory = factory
        self._deadline: asyncio.TimerHandle | None = None
        self._secure: SecureTransport | None = None
        self.upper: asyncio.Protocol | None = None
        self._below: asyncio.Transport | None = None
        self._paused = False
        self._ended = False
        self._saying_goodbye = False

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there; it has some time to prove who it is."""
        self._below = cast("asyncio.Transport", transport)
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(_HANDSHAKE, self._below.abort)

    def data_received(self, data: bytes) -> None:
        """Records have come."""
        if self._saying_goodbye:
            return
        self._incoming.write(data)
        if self._secure is None and not self._shake_hands():
            return
        self._read()

    def eof_received(self) -> bool:
        """The client's side of the connection is closed, whether it said so in TLS or not."""
        if self._secure is None or self._saying_goodbye:
            return False
        self._end()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """It is over."""
        self._stop_clock()
        self._below = None
        if self.upper is not None:
            self.upper.connection_lost(error)

    def pause_writing(self) -> None:
        """The client reads slowly."""
        if self.upper is not None:
            self.upper.pause_writing()

    def resume_writing(self) -> None:
        """It reads again."""
        if self.upper is not None:
            self.upper.resume_writing()

    # -- what the transport above calls

    @property
    def below(self) -> asyncio.Transport | None:
        """The TCP connection, while there is one."""
        return self._below

    @property
    def closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._below is None or self._saying_goodbye or self._below.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send; what comes too late is dropped, as by every transport."""
        if self.closing or not data:
            return
        try:
            self.session.write(data)
        except ssl.SSLError as error:
            self._fail(error)
            return
        self._flush()

    def pause(self) -> None:
        """Give the protocol above nothing more."""
        if not self._paused and not self.closing and self._below is not None:
            self._paused = True
            self._below.pause_reading()

    def resume(self) -> None:
        """Go on with what has come."""
        if not self._paused:
            return
        self._paused = False
        if self._below is not None and not self._below.is_closing():
            self._below.resume_reading()
            asyncio.get_running_loop().call_soon(self._read)

    def close(self) -> None:
        """Say goodbye; what is written goes out first, and what still comes in is dropped, lest it reset the connection."""
        if self.closing or self._below is None:
            return
        self._saying_goodbye = True
        # Its answer is not waited for.
        with contextlib.suppress(ssl.SSLError):
            self.session.unwrap()
        self._flush()
        if self._paused:
            self._paused = False
            self._below.resume_reading()
        if self._below.can_write_eof():
            self._below.write_eof()
        self._stop_clock()
        self._deadline = asyncio.get_running_loop().call_later(_LINGER, self._below.abort)

    def abort(self) -> None:
        """End it now."""
        if self._below is not None:
            self._below.abort()

    # -- inside

    def _shake_hands(self) -> bool:
        try:
            self.session.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except ssl.SSLError as error:
            logger.info("TLS handshake failed", extra={"error": error.reason or str(error)})
            # The alert says why.
            self._flush()
            if self._below is not None:
                self._below.close()
            return False
        self._flush()
        self._stop_clock()
        self._secure = SecureTransport(self)
        self.upper = cast("asyncio.Protocol", self._factory())
        self.upper.connection_made(self._secure)
        return True

    def _read(self) -> None:
        while self.upper is not None and not self._paused and not self.closing:
            try:
                data = self.session.read(_CHUNK)
            except ssl.SSLWantReadError:
                self._flush()
                return
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLError as error:
                self._fail(error)
                return
            if not data:
                self._end()
                return
            self.upper.data_received(data)

    def _end(self) -> None:
        if self._ended or self.upper is None:
            return
        self._ended = True
        if not self.upper.eof_received():
            self.close()

    def _fail(self, error: ssl.SSLError) -> None:
        logger.debug("TLS failed", extra={"error": error.reason or str(error)})
        self._flush()
        self.abort()

    def _flush(self) -> None:
        data = self._outgoing.read()
        if data and self._below is not None and not self._below.is_closing():
            self._below.write(data)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class SecureTransport(asyncio.Transport):
    """What the protocol above takes for its connection."""

    def __init__(self, connection: SecureProtocol) -> None:
        super().__init__()
        self._connection = connection
        self._tunnel: Tunnel | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What the connection below knows, and ``sslcontext``, ``ssl_object``, ``peercert``."""
        session = self._connection.session
        match name:
            case "sslcontext":
                return session.context
            case "ssl_object":
                return session
            case "peercert":
                return session.getpeercert()
            case _:
                pass
        below = self._connection.below
        return default if below is None else below.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Another protocol gets what comes from now on."""
        self._connection.upper = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol above."""
        assert self._connection.upper is not None
        return self._connection.upper

    def is_closing(self) -> bool:
        """Whether nothing can be written any more."""
        return self._connection.closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send."""
        self._connection.write(data)

    def pause_reading(self) -> None:
        """Stop handing up what comes."""
        self._connection.pause()

    def resume_reading(self) -> None:
        """Go on."""
        self._connection.resume()

    def close(self) -> None:
        """End after what is written."""
        self._connection.close()

    def abort(self) -> None:
        """End at once."""
        self._connection.abort()

    def can_write_eof(self) -> bool:
        """Closing is all there is."""
        return False

    def get_write_buffer_size(self) -> int:
        """Bytes that are not sent yet."""
        below = self._connection.below
        return 0 if below is None else below.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Those of the connection below."""
        if self._connection.below is not None:
            self._connection.below.set_write_buffer_limits(high, low)

    def lend(self, head: bytes) -> int:
        """Write ``head``, and give the rest of the connection away: a descriptor whose bytes are carried to and fro."""
        self.write(head)
        self.pause_reading()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._tunnel = Tunnel(self)
        self.set_protocol(self._tunnel)
        self._tunnel.begin(ours)
        return theirs.detach()


class Tunnel(asyncio.Protocol):
    """Carries the clear text between a TLS connection and a socket that somebody else has the other end of."""

    def __init__(self, outside: SecureTransport) -> None:
        self._outside = outside
        self._inside: asyncio.Transport | None = None
        self._opening: asyncio.Task[Any] | None = None

    def begin(self, ours: socket.socket) -> None:
        """Connect the two; until then the client is not read."""
        loop = asyncio.get_running_loop()
        self._opening = loop.create_task(loop.create_connection(lambda: _Inside(self), sock=ours))

    def opened(self, inside: asyncio.Transport) -> None:
        """The socket is ours to use."""
        self._inside = inside
        if self._outside.is_closing():
            inside.abort()
        else:
            self._outside.resume_reading()

    # -- from the client

    def data_received(self, data: bytes) -> None:
        """Bytes for the other end."""
        if self._inside is not None:
            self._inside.write(data)

    def eof_received(self) -> bool:
        """The client sends nothing more; what it gets goes on."""
        if self._inside is not None and not self._inside.is_closing():
            self._inside.write_eof()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone."""
        if self._inside is not None:
            self._inside.abort()

    def pause_writing(self) -> None:
        """The client reads slowly."""
        if self._inside is not None and not self._inside.is_closing():
            self._inside.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        if self._inside is not None and not self._inside.is_closing():
            self._inside.resume_reading()

    # -- from the other end

    def forward(self, data: bytes) -> None:
        """Bytes for the client."""
        self._outside.write(data)

    def finish(self) -> None:
        """The other end has said everything."""
        self._outside.close()

    def hold(self) -> None:
        """The other end reads slowly."""
        self._outside.pause_reading()

    def go_on(self) -> None:
        """It reads again."""
        self._outside.resume_reading()


class _Inside(asyncio.Protocol):
    """Our end of the socket."""

    def __init__(self, tunnel: Tunnel) -> None:
        self._tunnel = tunnel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._tunnel.opened(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._tunnel.forward(data)

    def eof_received(self) -> bool:
        self._tunnel.finish()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._tunnel.finish()

    def pause_writing(self) -> None:
        self._tunnel.hold()

    def resume_writing(self) -> None:
        self._tunnel.go_on()
