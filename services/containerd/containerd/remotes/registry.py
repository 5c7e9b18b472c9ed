"""The distribution specification, client side: manifests and blobs of one registry, with Bearer and Basic authentication.

Blocking, for threads; a client keeps one connection per thread and registry.
"""

from __future__ import annotations

import base64
import http.client
import json
import logging
import re
import ssl
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from containerd.images.walk import INDEX_TYPES, MANIFEST_TYPES
from containerd.remotes.reference import Reference
from wire.digest import of as digest_of
from wire.errors import (
    DataLoss,
    EngineError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
)
from wire.oci.image import Descriptor

logger = logging.getLogger(__name__)

_TIMEOUT: Final = 60.0
_CHUNK: Final = 1 << 18
_LARGEST_MANIFEST: Final = 8 << 20
_REDIRECTS: Final = 5
_DOCKER_HUB: Final = "registry-1.docker.io"
_CHALLENGE: Final = re.compile(r'(\w+)="([^"]*)"')
_ACCEPT: Final = ", ".join((*sorted(MANIFEST_TYPES), *sorted(INDEX_TYPES), "*/*"))


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and secret; an empty name with a secret is an identity token."""

    username: str = ""
    secret: str = ""


class Registry:
    """One repository of one registry."""

    def __init__(self, reference: Reference, credentials: Callable[[], Credentials | None]) -> None:
        self._reference = reference
        self._credentials = credentials
        self._host = _DOCKER_HUB if reference.host == "docker.io" else reference.host
        self._plain = _is_loopback(reference.host)
        self._local = threading.local()
        self._authorization: str | None = None
        self._lock = threading.Lock()

    @property
    def source_labels(self) -> dict[str, str]:
        """Where content of this repository comes from; a push to the same registry can mount it from there."""
        host = urllib.parse.urlsplit(f"//{self._reference.host}").hostname or ""
        return {f"containerd.io/distribution.source.{host}": self._reference.path}

    def resolve(self) -> tuple[Descriptor, bytes]:
        """The manifest or index that the reference names; raises NotFound, Unauthenticated, PermissionDenied, Unavailable."""
        return self.manifest(self._reference.object)

    def manifest(self, target: str, media_type: str = "") -> tuple[Descriptor, bytes]:
        """A manifest or index by tag or digest."""
        response = self._request("GET", f"/manifests/{target}", {"Accept": media_type or _ACCEPT})
        if response.status != HTTPStatus.OK:
            raise self._failure(response, f"manifest {target}")
        body = response.read(_LARGEST_MANIFEST + 1)
        if len(body) > _LARGEST_MANIFEST:
            raise InvalidArgument(f"manifest {target} is larger than {_LARGEST_MANIFEST} bytes")
        found = digest_of(body)
        if target.startswith("sha256:") and found != target:
            raise DataLoss(f"manifest {target} has the digest {found}")
        kind = (response.headers.get("Content-Type") or "").partition(";")[0].strip()
        declared = json.loads(body).get("mediaType") if body[:1] == b"{" else None
        # The document's own word counts: the two must not be read as different things.
        return Descriptor(media_type=declared or kind, digest=found, size=len(body)), body

    def blob(self, digest: str, offset: int = 0) -> Iterator[bytes]:
        """A blob's bytes from an offset on; a connection that breaks raises Unavailable, and the caller asks again."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        response = self._request("GET", f"/blobs/{digest}", headers)
        if response.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
            raise self._failure(response, f"blob {digest}")
        skip = offset if response.status == HTTPStatus.OK else 0
        try:
            while data := response.read(_CHUNK):
                if skip:
                    dropped = min(skip, len(data))
                    skip -= dropped
                    data = data[dropped:]
                if data:
                    yield data
        except (OSError, http.client.HTTPException) as error:
            self._forget()
            raise Unavailable(f"blob {digest}: {error}") from error

    # -- one request

    def _request(self, method: str, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        url = f"/v2/{self._reference.path}{path}"
        response = self._send(method, url, headers)
        if response.status == HTTPStatus.UNAUTHORIZED:
            challenge = response.headers.get("WWW-Authenticate") or ""
            response.read()
            with self._lock:
                self._authorization = self._authorize(challenge)
            response = self._send(method, url, headers)
        for _ in range(_REDIRECTS):
            location = response.headers.get("Location")
            if response.status not in {301, 302, 303, 307, 308} or not location:
                return response
            response.read()
            response = self._follow(urllib.parse.urljoin(self._url(url), location), headers)
        return response

    def _url(self, path: str) -> str:
        return f"{'http' if self._plain else 'https'}://{self._host}{path}"

    def _send(self, method: str, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        sent = {"User-Agent": "containerd/2.1.0+dockyard", **headers}
        if self._authorization:
            sent["Authorization"] = self._authorization
        for attempt in (1, 2):
            connection = self._connection()
            try:
                connection.request(method, path, headers=sent)
                return connection.getresponse()
            except (OSError, http.client.HTTPException) as error:
                self._forget()
                # The first may have been a kept connection that the registry has closed.
                if attempt == 2:
                    raise Unavailable(
                        f'failed to do request: {method.title()} "{self._url(path)}": {error}'
                    ) from error
        raise AssertionError("unreachable")

    def _connection(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = _connect(self._host, plain=self._plain)
            self._local.connection = connection
        return connection

    def _forget(self) -> None:
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def _follow(self, url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        """A redirect, mostly to a storage service: never with our credentials, never from https to http."""
        parts = urllib.parse.urlsplit(url)
        if parts.scheme != "https" and not self._plain:
            raise PermissionDenied(f"registry redirects to {parts.scheme}://{parts.netloc}")
        connection = _connect(parts.netloc, plain=parts.scheme == "http")
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        try:
            connection.request("GET", target, headers=headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"redirect to {parts.netloc}: {error}") from error

    def _authorize(self, challenge: str) -> str | None:
        scheme, _, rest = challenge.partition(" ")
        credentials = self._credentials()
        basic = None
        if credentials and credentials.username:
            pair = f"{credentials.username}:{credentials.secret}".encode()
            basic = f"Basic {base64.b64encode(pair).decode()}"
        if scheme.lower() == "basic":
            if basic is None:
                raise Unauthenticated("no basic auth credentials")
            return basic
        if scheme.lower() != "bearer":
            raise Unauthenticated(f"unknown authentication scheme {scheme!r}")
        fields = dict(_CHALLENGE.findall(rest))
        return f"Bearer {self._token(fields, basic, credentials)}"

    def _token(
        self, fields: dict[str, str], basic: str | None, credentials: Credentials | None
    ) -> str:
        realm = urllib.parse.urlsplit(fields.get("realm", ""))
        if realm.scheme not in {"http", "https"} or (realm.scheme == "http" and not self._plain):
            raise Unauthenticated(f"token realm {fields.get('realm', '')!r} is not usable")
        scope = fields.get("scope") or f"repository:{self._reference.path}:pull"
        query = {"service": fields.get("service", ""), "scope": scope}
        connection = _connect(realm.netloc, plain=realm.scheme == "http")
        try:
            if credentials and credentials.secret and not credentials.username:
                body = urllib.parse.urlencode(
                    {
                        **query,
                        "grant_type": "refresh_token",
                        "refresh_token": credentials.secret,
                        "client_id": "dockyard",
                    }
                )
                kind = {"Content-Type": "application/x-www-form-urlencoded"}
                connection.request("POST", realm.path, body, kind)
            else:
                headers = {"Authorization": basic} if basic else {}
                connection.request(
                    "GET", f"{realm.path}?{urllib.parse.urlencode(query)}", headers=headers
                )
            response = connection.getresponse()
            data = response.read(1 << 20)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"failed to fetch token: {error}") from error
        finally:
            connection.close()
        if response.status != HTTPStatus.OK:
            raise Unauthenticated(f"failed to fetch token: unexpected status {response.status}")
        document = json.loads(data)
        return str(document.get("token") or document.get("access_token") or "")

    def _failure(self, response: http.client.HTTPResponse, what: str) -> EngineError:
        body = response.read(1 << 16)
        text = f"unexpected status {response.status} {response.reason}"
        try:
            first = json.loads(body)["errors"][0]
            text = f"{first.get('code', '')}: {first.get('message', '')}".lower()
        except (ValueError, KeyError, IndexError, TypeError, AttributeError):
            pass
        message = f"{self._reference.host}/{self._reference.path}: {what}: {text}"
        kinds: dict[int, type[EngineError]] = {
            401: Unauthenticated,
            403: PermissionDenied,
            404: NotFound,
        }
        return kinds.get(response.status, Unavailable)(message)


def _connect(host: str, *, plain: bool) -> http.client.HTTPConnection:
    if plain:
        return http.client.HTTPConnection(host, timeout=_TIMEOUT)
    return http.client.HTTPSConnection(host, timeout=_TIMEOUT, context=ssl.create_default_context())


def _is_loopback(host: str) -> bool:
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return name == "localhost" or name.startswith("127.") or name == "[::1]"
