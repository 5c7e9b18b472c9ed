"""Every blob's bytes against its digest; what is damaged is fetched again from where it came from."""

from __future__ import annotations

import contextlib
import os
import urllib.parse
from collections.abc import Iterator
from typing import Final

from containerd.verify.findings import Finding
from containerd.verify.store import Blob, Store
from wire import digest as digests
from wire.atomic import sync_directory
from wire.errors import DataLoss, EngineError, NotFound
from wire.registry.hosts import find_hosts
from wire.registry.reference import Reference, parse
from wire.registry.registry import Registry

_CHUNK: Final = 1 << 20


def verify(store: Store, *, repair: bool, hosts_dir: str) -> Iterator[Finding]:
    """Look at all blobs; with ``repair`` those that are not what they should be are replaced."""
    names = store.names()
    size = 0
    for blob in sorted(store.blobs.values(), key=lambda each: each.digest):
        fault = _fault(store, blob)
        size += blob.size
        if not fault:
            continue
        users = sorted(names.get(blob.digest, ()))
        repaired = False
        if repair:
            fault, repaired = _fetched(store, blob, users, hosts_dir, fault)
        yield Finding(
            level="warning" if repaired else "problem",
            subject="content",
            text=fault,
            images=users,
            digest=blob.digest,
            path=store.path(blob.digest),
            repaired=repaired,
        )
    yield Finding(
        level="ok", subject="content", text=f"{len(store.blobs)} blobs, {size} bytes looked at"
    )


def _fault(store: Store, blob: Blob) -> str:
    """What is wrong with a blob's file; empty if nothing is."""
    algorithm, _ = digests.parse(blob.digest)
    hasher = digests.Hasher(algorithm)
    size = 0
    try:
        with open(store.path(blob.digest), "rb", buffering=0) as file:
            while data := file.read(_CHUNK):
                hasher.update(data)
                size += len(data)
    except FileNotFoundError:
        return "the file is missing"
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    if hasher.digest == blob.digest:
        return ""
    if size != blob.size:
        return f"the file has {size} bytes, not {blob.size}"
    return f"the file's digest is {hasher.digest}"


def _fetched(
    store: Store, blob: Blob, users: list[str], hosts_dir: str, fault: str
) -> tuple[str, bool]:
    sources = list(_references(blob, users))
    if not sources:
        return f"{fault}; not repaired: it came from no registry", False
    failure = ""
    for reference in sources:
        try:
            hosts = find_hosts(reference.host, hosts_dir)
            _replace(store, blob, Registry(reference, hosts, lambda _: None, {}))
        except (EngineError, OSError) as error:
            failure = str(error)
        else:
            return f"{fault}; fetched again from {reference.host}/{reference.path}", True
    return f"{fault}; not repaired: {failure}", False


def _references(blob: Blob, users: list[str]) -> Iterator[Reference]:
    """The repositories that a blob came from. Labels have no ports: the names of images that need it do."""
    known: dict[str, list[str]] = {}
    for name in users:
        with contextlib.suppress(EngineError):
            host = parse(name).host
            bare = urllib.parse.urlsplit(f"//{host}").hostname or ""
            known.setdefault(bare, []).append(host)
    for bare, repository in blob.sources:
        for host in dict.fromkeys(known.get(bare) or [bare]):
            yield Reference(host, repository, blob.digest)


def _replace(store: Store, blob: Blob, registry: Registry) -> None:
    """Fetch beside, and rename over the damaged file: whoever has that open keeps it."""
    target = store.path(blob.digest)
    fresh = os.path.join(
        store.root, "content", "ingest", f"verify-{os.getpid()}-{os.urandom(4).hex()}"
    )
    algorithm, _ = digests.parse(blob.digest)
    hasher = digests.Hasher(algorithm)
    size = 0
    try:
        with open(fresh, "xb") as file:
            for data in _bytes(registry, blob):
                hasher.update(data)
                size += len(data)
                if size > blob.size:
                    break
                file.write(data)
            if hasher.digest != blob.digest:
                raise DataLoss(f"what the registry has is {hasher.digest}")
            file.flush()
            os.fsync(file.fileno())
        os.rename(fresh, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
    sync_directory(os.path.dirname(target))


def _bytes(registry: Registry, blob: Blob) -> Iterator[bytes]:
    try:
        yield from registry.blob(blob.digest)
    except NotFound:
        # Manifests are kept elsewhere.
        _, body = registry.manifest(blob.digest)
        yield body
