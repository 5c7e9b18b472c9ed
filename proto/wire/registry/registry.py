"""The distribution specification, client side: manifests and blobs of one repository, from whichever endpoint has them.

Blocking, for threads.
"""

from __future__ import annotations

import functools
import http.client
import io
import json
import logging
import re
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import BinaryIO, Final, TypeVar

from wire.digest import of as digest_of
from wire.errors import (
    DataLoss,
    EngineError,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from wire.oci.image import INDEX_TYPES, MANIFEST_TYPES, Descriptor
from wire.registry.endpoint import Endpoint, FindCredentials
from wire.registry.errors import RegistryFailed
from wire.registry.hosts import Capability, Host
from wire.registry.reference import TAG, Reference

logger = logging.getLogger(__name__)

_CHUNK: Final = 1 << 18
_PAGE: Final = 1000
_MOST_TAGS: Final = 100_000
_NEXT: Final = re.compile(r'<([^>]*)>;\s*rel="?next"?')
_LARGEST_MANIFEST: Final = 8 << 20
_ACCEPT: Final = ", ".join((*sorted(MANIFEST_TYPES), *sorted(INDEX_TYPES), "*/*"))
_Found = TypeVar("_Found")


class Registry:
    """One repository; the endpoints are asked in their order, a failure leads to the next."""

    def __init__(
        self,
        reference: Reference,
        hosts: Sequence[Host],
        credentials: FindCredentials,
        headers: Mapping[str, str],
    ) -> None:
        """``headers`` go to every endpoint. Raises InvalidArgument if no endpoint may be pulled from."""
        self._reference = reference
        registry = "registry-1.docker.io" if reference.host == "docker.io" else reference.host
        self._endpoints = [
            Endpoint(
                host,
                reference.path,
                registry=registry if host.authority == registry else reference.host,
                credentials=credentials,
                headers=headers,
            )
            for host in hosts
        ]
        if not self._with(Capability.PULL):
            raise InvalidArgument(f"no endpoint of {reference.host} may be pulled from")

    @property
    def repository(self) -> str:
        """The path of the repository."""
        return self._reference.path

    @property
    def source_labels(self) -> dict[str, str]:
        """Where content of this repository comes from; a push to the same registry can mount it from there."""
        host = urllib.parse.urlsplit(f"//{self._reference.host}").hostname or ""
        return {f"containerd.io/distribution.source.{host}": self._reference.path}

    def resolve(self) -> tuple[Descriptor, bytes]:
        """The manifest or index that the reference names; raises NotFound, Unauthenticated, PermissionDenied, RegistryFailed."""
        return self.manifest(self._reference.object)

    def manifest(self, target: str, media_type: str = "") -> tuple[Descriptor, bytes]:
        """A manifest or index by tag or digest."""
        # What a tag stands for is not every mirror's to say; a digest can be checked.
        wanted = Capability.PULL if ":" in target else Capability.RESOLVE
        return self._first(
            wanted, f"manifest {target}", lambda each: self._manifest(each, target, media_type)
        )

    def _manifest(
        self, endpoint: Endpoint, target: str, media_type: str
    ) -> tuple[Descriptor, bytes]:
        response = endpoint.get(f"/manifests/{target}", {"Accept": media_type or _ACCEPT})
        if response.status != HTTPStatus.OK:
            raise self._failure(response, f"manifest {target}")
        body = response.read(_LARGEST_MANIFEST + 1)
        if len(body) > _LARGEST_MANIFEST:
            endpoint.forget()
            raise InvalidArgument(f"manifest {target} is larger than {_LARGEST_MANIFEST} bytes")
        found = digest_of(body)
        if target.startswith("sha256:") and found != target:
            raise DataLoss(f"manifest {target} has the digest {found}")
        kind = (response.headers.get("Content-Type") or "").partition(";")[0].strip()
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise InvalidArgument(f"manifest {target} is not JSON") from None
        declared = document.get("mediaType") if isinstance(document, dict) else None
        # The document's own word counts: the two must not be read as different things.
        return Descriptor(media_type=str(declared or kind), digest=found, size=len(body)), body

    def tags(self) -> list[str]:
        """The tags of the repository, in the registry's order; raises as ``resolve``."""
        found: list[str] = []
        path = f"/tags/list?n={_PAGE}"
        while path:
            page, path = self._first(
                Capability.RESOLVE, "tags", functools.partial(self._tags, path=path)
            )
            found += page
            if len(found) > _MOST_TAGS:
                raise InvalidArgument(f"repository has more than {_MOST_TAGS} tags")
        return found

    def _tags(self, endpoint: Endpoint, path: str) -> tuple[list[str], str]:
        """One page of tags, and where the next one is."""
        response = endpoint.get(path, {})
        if response.status != HTTPStatus.OK:
            raise self._failure(response, "tags")
        body = response.read(_LARGEST_MANIFEST + 1)
        if not response.isclosed():
            endpoint.forget()
        try:
            tags = json.loads(body)["tags"] or []
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InvalidArgument("the list of tags is malformed") from None
        if not all(isinstance(each, str) and TAG.fullmatch(each) for each in tags):
            raise InvalidArgument("the list of tags has what is no tag")
        link = _NEXT.search(response.headers.get("Link") or "")
        query = urllib.parse.urlsplit(link[1]).query if link else ""
        return tags, f"/tags/list?{query}" if query else ""

    def blob(self, digest: str, offset: int = 0) -> Iterator[bytes]:
        """A blob's bytes from an offset on; a connection that breaks raises RegistryFailed, and the caller asks again."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}

        def ask(endpoint: Endpoint) -> tuple[Endpoint, http.client.HTTPResponse]:
            response = endpoint.get(f"/blobs/{digest}", headers)
            if response.status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                raise self._failure(response, f"blob {digest}")
            return endpoint, response

        endpoint, response = self._first(Capability.PULL, f"blob {digest}", ask)
        skip = offset if response.status == HTTPStatus.OK else 0
        try:
            while data := response.read(_CHUNK):
                if skip:
                    dropped = min(skip, len(data))
                    skip -= dropped
                    data = data[dropped:]
                if data:
                    yield data
            if response.length:
                # http.client takes the end of a connection for the end of the body.
                raise RegistryFailed(f"blob {digest}: {response.length} bytes are missing")
        except (OSError, http.client.HTTPException) as error:
            raise RegistryFailed(f"blob {digest}: {error}") from error
        finally:
            if not response.isclosed():
                endpoint.forget()

    # -- pushing

    def has_blob(self, digest: str) -> bool:
        """Whether the repository has a blob."""
        response, _ = self._pushed_to().change("HEAD", f"/blobs/{digest}", {})
        return response.status == HTTPStatus.OK

    def mount(self, digest: str, source: str) -> str:
        """Take a blob from another repository of the registry; empty if that is done, else where to upload it."""
        query = urllib.parse.urlencode({"mount": digest, "from": source}) if source else ""
        path = f"/blobs/uploads/?{query}" if query else "/blobs/uploads/"
        endpoint = self._pushed_to()
        response, data = endpoint.change("POST", path, {"Content-Length": "0"})
        if response.status == HTTPStatus.CREATED and source:
            return ""
        location = response.headers.get("Location")
        if response.status != HTTPStatus.ACCEPTED or not location:
            raise self._refused(response, data, f"blob {digest}")
        return endpoint.absolute(location)

    def upload(self, location: str, digest: str, size: int, body: Callable[[], BinaryIO]) -> None:
        """Send a blob to where ``mount`` said."""
        separator = "&" if "?" in location else "?"
        url = f"{location}{separator}{urllib.parse.urlencode({'digest': digest})}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        response, data = self._pushed_to().change("PUT", url, headers, body)
        if response.status != HTTPStatus.CREATED:
            raise self._refused(response, data, f"blob {digest}")

    def put_manifest(self, target: str, media_type: str, document: bytes) -> None:
        """Give a manifest or an index to the repository, under a tag or its digest."""
        headers = {"Content-Type": media_type, "Content-Length": str(len(document))}
        response, data = self._pushed_to().change(
            "PUT", f"/manifests/{target}", headers, lambda: io.BytesIO(document)
        )
        if response.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            raise self._refused(response, data, f"manifest {target}")

    def _pushed_to(self) -> Endpoint:
        found = self._with(Capability.PUSH)
        if not found:
            raise InvalidArgument(f"no endpoint of {self._reference.host} may be pushed to")
        # Mirrors stand in front, the registry itself is the last.
        return found[-1]

    def _with(self, capability: Capability) -> Sequence[Endpoint]:
        return [each for each in self._endpoints if capability in each.host.capabilities]

    def _first(
        self, capability: Capability, what: str, ask: Callable[[Endpoint], _Found]
    ) -> _Found:
        """The answer of the first endpoint that gives one; else the failure of the last, which is the registry itself."""
        endpoints = self._with(capability)
        failure: EngineError = NotFound(f"{what}: no endpoint may be asked: not found")
        for endpoint in endpoints:
            try:
                return ask(endpoint)
            except EngineError as error:
                if endpoint is not endpoints[-1]:
                    logger.info(
                        "endpoint failed, trying the next",
                        extra={"endpoint": endpoint.host.authority, "error": str(error)},
                    )
                failure = error
        raise failure

    def _failure(self, response: http.client.HTTPResponse, what: str) -> EngineError:
        return self._refused(response, response.read(1 << 16), what)

    def _refused(self, response: http.client.HTTPResponse, body: bytes, what: str) -> EngineError:
        text = f"unexpected status {response.status} {response.reason}"
        try:
            first = json.loads(body)["errors"][0]
            text = f"{first.get('code', '')}: {first.get('message', '')}".lower()
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            pass
        message = f"{self._reference.host}/{self._reference.path}: {what}: {text}"
        kinds: dict[int, type[EngineError]] = {
            401: Unauthenticated,
            403: PermissionDenied,
            404: NotFound,
        }
        return kinds.get(response.status, RegistryFailed)(message)
