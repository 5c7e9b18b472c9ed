"""Image archives: OCI layouts and what `docker save` writes, in and out."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final

from containerd.content.local import ContentStore
from containerd.images.walk import descend, manifest_for
from wire import bounded_tar, jsontext
from wire.errors import InvalidArgument, NotFound
from wire.oci.image import Descriptor, Platform

_LARGEST_DOCUMENT: Final = 8 << 20
# Of images: no image has more than 127 layers where it can be mounted.
_MOST_FILES: Final = 100_000
_LONGEST_NAME: Final = 4096
_CHUNK: Final = 1 << 20
_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_NAME: Final = "io.containerd.image.name"
_TAG: Final = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Imported:
    """One image of an archive: its full name, or its tag alone, or neither."""

    name: str
    tag: str
    target: Descriptor


class ArchiveReader:
    """Puts every blob of an archive into the store and says which images they make."""

    def __init__(self, content: ContentStore, pins: set[str]) -> None:
        """``pins`` hold the blobs until the caller has recorded them."""
        self._content = content
        self._pins = pins
        self.digests: set[str] = set()
        self._files: dict[str, Descriptor] = {}
        self._documents: dict[str, bytes] = {}
        self._links: dict[str, str] = {}

    def read(self, stream: BinaryIO) -> list[Imported]:
        """Read an archive, compressed or not; raises InvalidArgument for one that holds no image."""
        try:
            with bounded_tar.opened(stream) as archive:
                for number, member in enumerate(bounded_tar.members(archive)):
                    if number >= _MOST_FILES:
                        raise InvalidArgument(f"archive has more than {_MOST_FILES} files")
                    self._member(archive, member)
        except (tarfile.TarError, EOFError) as error:
            raise InvalidArgument(f"archive is not a tar archive: {error}") from error
        if "manifest.json" in self._documents and "index.json" not in self._documents:
            return list(self._docker_images())
        if "index.json" in self._documents:
            return list(self._layout_images())
        raise InvalidArgument("archive holds neither index.json nor manifest.json")

    def _member(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        if max(len(member.name), len(member.linkname)) > _LONGEST_NAME:
            raise InvalidArgument("archive has a name that is longer than any path")
        name = member.name.removeprefix("./")
        if member.issym() or member.islnk():
            # `docker save` links a layer that occurs twice.
            base = "" if member.islnk() else name.rsplit("/", 1)[0]
            self._links[name] = _joined(base, member.linkname)
            return
        if not member.isreg():
            return
        source = archive.extractfile(member)
        assert source is not None
        if name in {"index.json", "manifest.json", "oci-layout", "repositories"}:
            if member.size > _LARGEST_DOCUMENT:
                raise InvalidArgument(
                    f"{name} of the archive is larger than {_LARGEST_DOCUMENT} bytes"
                )
            self._documents[name] = source.read()
            return
        writer = self._content.writer()
        try:
            while chunk := source.read(_CHUNK):
                writer.write(chunk)
            expected = ""
            if name.startswith("blobs/sha256/"):
                expected = f"sha256:{name.rpartition('/')[2]}"
            size = writer.size
            digest = self._content.publish(writer, self._pins, expected)
        except BaseException:
            writer.abort()
            raise
        self.digests.add(digest)
        self._files[name] = Descriptor(media_type="", digest=digest, size=size)

    def _layout_images(self) -> Iterator[Imported]:
        try:
            index = jsontext.loads(self._documents["index.json"])
            entries = index["manifests"]
            for entry in entries:
                target = Descriptor.from_json(entry)
                name = target.annotations.get(_NAME) or ""
                tag = target.annotations.get(_TAG) or ""
                if not self._content.exists(target.digest):
                    raise InvalidArgument(f"archive lacks the blob {target.digest}")
                yield Imported(
                    name,
                    tag,
                    Descriptor(
                        media_type=target.media_type, digest=target.digest, size=target.size
                    ),
                )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidArgument(f"index.json of the archive: {error}") from error

    def _docker_images(self) -> Iterator[Imported]:
        """A manifest is made for each entry of manifest.json."""
        try:
            for entry in jsontext.loads(self._documents["manifest.json"]):
                config = self._file(entry["Config"])
                layers = [self._file(name) for name in entry["Layers"] or []]
                document = {
                    "schemaVersion": 2,
                    "mediaType": _MANIFEST,
                    "config": {"mediaType": _CONFIG, "digest": config.digest, "size": config.size},
                    "layers": [
                        {
                            "mediaType": self._layer_type(layer),
                            "digest": layer.digest,
                            "size": layer.size,
                        }
                        for layer in layers
                    ],
                }
                body = json.dumps(document, separators=(",", ":")).encode()
                writer = self._content.writer()
                writer.write(body)
                digest = self._content.publish(writer, self._pins)
                self.digests.add(digest)
                target = Descriptor(media_type=_MANIFEST, digest=digest, size=len(body))
                for name in entry.get("RepoTags") or [""]:
                    yield Imported(full_name(name), "", target)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidArgument(f"manifest.json of the archive: {error}") from error

    def _file(self, name: str) -> Descriptor:
        name = self._links.get(name, name)
        found = self._files.get(name)
        if found is None:
            raise InvalidArgument(f"archive lacks the file {name}")
        return found

    def _layer_type(self, layer: Descriptor) -> str:
        with self._content.open(layer.digest) as file:
            magic = file.read(4)
        return f"{_LAYER}+gzip" if magic.startswith(b"\x1f\x8b") else _LAYER


def full_name(name: str) -> str:
    """A name of `docker save` as image stores have it: with host, ``library/`` and tag; nothing for no name."""
    if not name:
        return ""
    head, _, rest = name.partition("/")
    if not rest:
        name = f"docker.io/library/{name}"
    elif "." not in head and ":" not in head and head != "localhost":
        name = f"docker.io/{name}"
    return name if ":" in name.rsplit("/", 1)[-1] or "@" in name else f"{name}:latest"


def _joined(base: str, target: str) -> str:
    parts = base.split("/") if base else []
    for part in target.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)


def write_archive(
    content: ContentStore,
    images: Mapping[str, Descriptor],
    out: BinaryIO,
    wanted: Sequence[Platform] = (),
) -> None:
    """Write images as an OCI layout that older Dockers read, too. Names that are digests stay without a tag.

    With ``wanted`` platforms nothing goes in for others. Raises NotFound if a blob is missing, or an image has none of them.
    """
    entries = []
    legacy: list[dict[str, object]] = []
    blobs: dict[str, int] = {}
    for name, target in images.items():
        manifest_descriptor, manifest = manifest_for(content.read, target, wanted)
        for each in descend(content.read, target, content.exists, wanted):
            if content.exists(each.digest):
                blobs[each.digest] = each.size
        for each in (manifest_descriptor, manifest.config, *manifest.layers):
            if not content.exists(each.digest):
                raise NotFound(f"content {each.digest}: not found")
        entry = {"mediaType": target.media_type, "digest": target.digest, "size": target.size}
        familiar = name.removeprefix("docker.io/").removeprefix("library/")
        tagged = bool(name) and "@" not in name
        entries.append(
            {**entry, "annotations": {_NAME: name, _TAG: name.rpartition(":")[2]}}
            if tagged
            else entry
        )
        config = f"blobs/sha256/{manifest.config.digest[7:]}"
        layers = [f"blobs/sha256/{layer.digest[7:]}" for layer in manifest.layers]
        known = next((each for each in legacy if each["Config"] == config), None)
        if known is None:
            legacy.append(
                {"Config": config, "RepoTags": [familiar] if tagged else None, "Layers": layers}
            )
        elif tagged:
            known["RepoTags"] = [*(known["RepoTags"] or []), familiar]  # type: ignore[misc]
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": entries,
    }
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for digest, size in sorted(blobs.items()):
            member = tarfile.TarInfo(f"blobs/sha256/{digest[7:]}")
            member.size = size
            member.mode = 0o644
            with content.open(digest) as file:
                archive.addfile(member, file)
        for name, document in (
            ("index.json", index),
            ("manifest.json", legacy),
            ("oci-layout", {"imageLayoutVersion": "1.0.0"}),
        ):
            body = json.dumps(document, separators=(",", ":")).encode()
            member = tarfile.TarInfo(name)
            member.size = len(body)
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(body))
