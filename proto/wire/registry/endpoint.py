"""One endpoint of a registry: connections, TLS, authentication, redirects.

Blocking, for threads; a connection is kept for each thread.
"""

from __future__ import annotations

import functools
import http.client
import logging
import os
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import BinaryIO, Final

from wire.errors import InvalidArgument, PermissionDenied
from wire.registry import proxies
from wire.registry.auth import Credentials, Grant, authorize
from wire.registry.errors import RegistryFailed, Unreachable
from wire.registry.hosts import Host

logger = logging.getLogger(__name__)

_TIMEOUT: Final = 60.0
_REDIRECTS: Final = 5
_LARGEST_ANSWER: Final = 1 << 20
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_AGENT: Final = "containerd/2.1.0+dockyard"
# How a server that speaks plain HTTP looks to a TLS client.
_NO_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})

# The credentials for a host, or None.
FindCredentials = Callable[[str], Credentials | None]


class Endpoint:
    """Requests to one endpoint about one repository."""

    def __init__(
        self,
        host: Host,
        repository: str,
        *,
        registry: str,
        credentials: FindCredentials,
        headers: Mapping[str, str],
        offline: bool = False,
    ) -> None:
        """``registry`` is the host of the reference: another one is told it, as a mirror of several registries needs.

        ``repository`` is empty for requests about the whole registry. ``offline`` asks token services for an identity token.
        """
        self.host = host
        self._repository = repository
        self._query = {} if host.authority == registry else {"ns": registry}
        self._credentials = credentials
        self._headers = {"User-Agent": _AGENT, **headers, **dict(host.headers)}
        self._plain = host.scheme == "http"
        self._local = threading.local()
        self._offline = offline
        self._grant: Grant | None = None
        self._lock = threading.Lock()

    def get(self, path: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """The answer to a GET below the repository, whatever its status but 401 and redirects.

        Raises RegistryFailed, Unauthenticated, PermissionDenied.
        """
        target = self._target(path)
        response = self._authorized("GET", target, headers, None, "pull")
        url = self._url(target)
        for _ in range(_REDIRECTS):
            location = response.headers.get("Location")
            if response.status not in _MOVED or not location:
                return response
            response.read()
            url = urllib.parse.urljoin(url, location)
            response = self._follow(url, headers)
        return response

    def change(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Callable[[], BinaryIO] | None = None,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """The answer to a request that pushes, and its body, whatever its status but 401.

        ``path`` is one below the repository, or the URL that an earlier answer named. ``body`` opens what is sent.
        Raises RegistryFailed, Unauthenticated, PermissionDenied.
        """
        if path.startswith("/"):
            target = self._target(path)
        else:
            parts = urllib.parse.urlsplit(path)
            if parts.netloc != self.host.authority or (parts.scheme == "http") != self._plain:
                # Credentials and content are for this host only.
                raise PermissionDenied(
                    f"registry wants an upload to {parts.scheme}://{parts.netloc}"
                )
            target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        response = self._authorized(method, target, headers, body, "pull,push")
        data = response.read(_LARGEST_ANSWER)
        if not response.isclosed():
            self.forget()
        return response, data

    @property
    def identity_token(self) -> str:
        """What a token service gave in place of the password; empty without one."""
        return self._grant.identity_token if self._grant else ""

    def absolute(self, location: str) -> str:
        """The URL that a Location header means."""
        return urllib.parse.urljoin(self._url("/"), location)

    def _target(self, path: str) -> str:
        name, _, given = path.partition("?")
        query = "&".join(filter(None, (given, urllib.parse.urlencode(self._query))))
        return f"{self.host.path}/{self._repository}{name}{f'?{query}' if query else ''}"

    def _authorized(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Callable[[], BinaryIO] | None,
        actions: str,
    ) -> http.client.HTTPResponse:
        response = self._send(target, headers, method, body)
        if response.status == HTTPStatus.UNAUTHORIZED:
            challenge = response.headers.get("WWW-Authenticate") or ""
            response.read()
            with self._lock:
                self._grant = authorize(
                    challenge,
                    self._credentials(self.host.authority),
                    f"repository:{self._repository}:{actions}" if self._repository else "",
                    plain=self._plain,
                    connect=self._connect,
                    offline=self._offline,
                )
            response = self._send(target, headers, method, body)
        return response

    def forget(self) -> None:
        """Close this thread's connection: the last answer was not read to its end."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _url(self, target: str) -> str:
        return f"{'http' if self._plain else 'https'}://{self.host.authority}{target}"

    def _send(
        self,
        target: str,
        headers: Mapping[str, str],
        method: str = "GET",
        body: Callable[[], BinaryIO] | None = None,
    ) -> http.client.HTTPResponse:
        sent = {**self._headers, **headers}
        if self._grant:
            sent["Authorization"] = self._grant.header
        failure: Exception | None = None
        for _ in range(3):
            kept = getattr(self._local, "connection", None)
            # Another thread may find out meanwhile that there is no TLS.
            plain = self._plain
            connection = kept or self._connect(self.host.authority, plain)
            self._local.connection = connection
            try:
                if body is None:
                    connection.request(method, target, headers=sent)
                else:
                    with body() as file:
                        connection.request(method, target, file, sent)
                return connection.getresponse()
            except ssl.SSLError as error:
                self.forget()
                failure = error
                if not self.host.plain_fallback or plain or error.reason not in _NO_TLS:
                    break
                self._plain = True
            except (OSError, http.client.HTTPException) as error:
                self.forget()
                failure = error
                # A kept connection may have been closed by the registry meanwhile.
                if kept is None:
                    break
        raise Unreachable(
            f'{method.title()} "{self._url(target)}": {_cause(failure, self.host.authority)}'
        ) from failure

    def _follow(self, url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """A redirect, mostly to a storage service: no credentials for another host, never from https to http."""
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https" and not (self._plain and parts.scheme == "http"):
            raise PermissionDenied(f"registry redirects to {parts.scheme}://{parts.netloc}")
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        if parts.netloc == self.host.authority and (parts.scheme == "http") == self._plain:
            return self._send(target, headers)
        connection = self._connect(parts.netloc, parts.scheme == "http")
        try:
            connection.request("GET", target, headers={"User-Agent": _AGENT, **headers})
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise RegistryFailed(f"redirect to {parts.netloc}: {error}") from error

    def _connect(self, authority: str, plain: bool) -> http.client.HTTPConnection:  # noqa: FBT001 - a callback
        own = authority == self.host.authority
        timeout = min(_TIMEOUT, self.host.dial_timeout) if own else _TIMEOUT
        proxy = proxies.chosen("http" if plain else "https", authority)
        if plain:
            if proxy is not None:
                return _ProxiedConnection(proxy, authority, timeout=timeout)
            return _Connection(authority, timeout=timeout)
        context = _tls(self.host) if own else _trusted()
        if proxy is None:
            return _SecureConnection(authority, timeout=timeout, context=context)
        connection = _SecureConnection(proxy.host, proxy.port, timeout=timeout, context=context)
        parts = urllib.parse.urlsplit(f"//{authority}")
        connection.set_tunnel(parts.hostname or "", parts.port or 443, _authorization(proxy))
        return connection


class _Connection(http.client.HTTPConnection):
    """The given time is for the connection; answers may take longer."""

    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(_TIMEOUT)


class _ProxiedConnection(_Connection):
    """Plain HTTP by a proxy, which is told the whole address."""

    def __init__(self, proxy: proxies.Proxy, authority: str, *, timeout: float) -> None:
        super().__init__(proxy.host, proxy.port, timeout=timeout)
        self._origin = f"http://{authority}"
        self._proxy_headers = _authorization(proxy)

    def putrequest(
        self,
        method: str,
        url: str,
        skip_host: bool = False,  # noqa: FBT001 - as inherited
        skip_accept_encoding: bool = False,  # noqa: FBT001
    ) -> None:
        super().putrequest(method, f"{self._origin}{url}", skip_host, skip_accept_encoding)
        for name, value in self._proxy_headers.items():
            self.putheader(name, value)


def _authorization(proxy: proxies.Proxy) -> dict[str, str]:
    return {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}


class _SecureConnection(http.client.HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(_TIMEOUT)


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The machine's certificates, read once: that takes longer than many a pull. Nobody changes this context."""
    return ssl.create_default_context()


def _tls(host: Host) -> ssl.SSLContext:
    if not (host.skip_verify or host.ca or host.client):
        return _trusted()
    if host.skip_verify:
        # Whose certificates are trusted makes no difference then.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context = ssl.create_default_context()
    try:
        for path in host.ca:
            context.load_verify_locations(path)
        for certificate, key in host.client:
            context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        names = ", ".join(os.path.basename(each) for each in (*host.ca, *sum(host.client, ())))
        raise InvalidArgument(
            f"certificates of {host.authority} ({names}) cannot be used: {error}"
        ) from error
    return context


def _cause(failure: Exception | None, authority: str) -> str:
    """Why there is no connection, in the words that users know from the original."""
    if isinstance(failure, socket.gaierror):
        return f"dial tcp: lookup {authority.partition(':')[0]}: no such host"
    if isinstance(failure, ConnectionRefusedError):
        return f"dial tcp {authority}: connect: connection refused"
    return str(failure)
