"""OCI image-spec 1.1 documents, with Docker's schema 2 media types beside them.

Fields that we do not know are kept in ``extra`` so that a document can be written back without loss; digests are of the
original bytes, never of a document written again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from wire import digest as digests
from wire import jsontext
from wire.errors import InvalidArgument
from wire.oci.types import check_config

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD: Final = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_INDEX: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_ZSTD: Final = "application/vnd.docker.image.rootfs.diff.tar.zstd"

INDEX_TYPES: Final = frozenset({OCI_INDEX, DOCKER_INDEX})
MANIFEST_TYPES: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
CONFIG_TYPES: Final = frozenset({OCI_CONFIG, DOCKER_CONFIG})
LAYER_TYPES: Final = frozenset(
    {OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_LAYER_ZSTD}
)

# A manifest or config larger than this is refused before it is parsed (containerd's limit for manifests is 8 MiB).
MAX_DOCUMENT: Final = 8 << 20
_LARGEST: Final = 1 << 63


def load_document(data: bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object; raises InvalidArgument naming ``what`` it should have been."""
    if len(data) > MAX_DOCUMENT:
        raise InvalidArgument(f"{what} of {len(data)} bytes exceeds the limit of {MAX_DOCUMENT}")
    try:
        value = jsontext.loads(data)
    except ValueError as error:
        raise InvalidArgument(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidArgument(f"{what} is not a JSON object")
    return value


def _annotations(value: Mapping[str, Any]) -> dict[str, str]:
    found = value.get("annotations") or {}
    if not isinstance(found, Mapping):
        raise InvalidArgument("annotations are not a JSON object")
    return {str(key): str(each) for key, each in found.items()}


def _declared(value: Mapping[str, Any]) -> str:
    return str(value.get("mediaType") or "")


def _listed(value: Mapping[str, Any], name: str) -> Sequence[Any]:
    found = value.get(name) or ()
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise InvalidArgument(f"{name} is not a list")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """os/architecture/variant of an image."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    @classmethod
    def from_json(cls, value: Any) -> Platform:
        """From a descriptor's ``platform`` or an image config; raises InvalidArgument."""
        if not isinstance(value, Mapping):
            raise InvalidArgument("platform is not a JSON object")
        for name in ("os", "architecture", "variant", "os.version"):
            if not isinstance(value.get(name) or "", str):
                raise InvalidArgument(f"platform has an invalid {name}: {value[name]!r}")
        return cls(
            os=str(value.get("os") or ""),
            architecture=str(value.get("architecture") or ""),
            variant=str(value.get("variant") or ""),
            os_version=str(value.get("os.version") or ""),
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON object, empty fields left out."""
        value: dict[str, Any] = {"architecture": self.architecture, "os": self.os}
        if self.os_version:
            value["os.version"] = self.os_version
        if self.variant:
            value["variant"] = self.variant
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """Points at content: what it is, its digest and its size in bytes."""

    media_type: str
    digest: str
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    platform: Platform | None = None
    urls: Sequence[str] = ()
    artifact_type: str = ""

    @classmethod
    def from_json(cls, value: Any) -> Descriptor:
        """Raises InvalidArgument for a descriptor with a missing or malformed field."""
        if not isinstance(value, Mapping):
            raise InvalidArgument("descriptor is not a JSON object")
        size = value.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < _LARGEST:
            raise InvalidArgument(f"descriptor has an invalid size: {size!r}")
        text = str(value.get("digest") or "")
        digests.parse(text)
        platform = value.get("platform")
        return cls(
            media_type=str(value.get("mediaType") or ""),
            digest=text,
            size=size,
            annotations=_annotations(value),
            platform=None if platform is None else Platform.from_json(platform),
            urls=tuple(str(url) for url in _listed(value, "urls")),
            artifact_type=str(value.get("artifactType") or ""),
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON object, empty fields left out."""
        value: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
        }
        if self.urls:
            value["urls"] = list(self.urls)
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        if self.platform is not None:
            value["platform"] = self.platform.to_json()
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One image for one platform: its config and its layers, lowest first."""

    media_type: str
    config: Descriptor
    layers: Sequence[Descriptor]
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str = "") -> Manifest:
        """Parse; raises InvalidArgument. A document that is an index as well is refused (media type confusion)."""
        return cls.from_json(load_document(data, "manifest"), media_type)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], media_type: str = "") -> Manifest:
        """The same of a document that is parsed already."""
        if "manifests" in value or _declared(value) in INDEX_TYPES:
            raise InvalidArgument(
                'manifest has the "manifests" or the media type of an index: ambiguous document'
            )
        layers = value.get("layers")
        if not isinstance(layers, list) or "config" not in value:
            raise InvalidArgument("manifest lacks config or layers")
        return cls(
            media_type=str(value.get("mediaType") or media_type or OCI_MANIFEST),
            config=Descriptor.from_json(value["config"]),
            layers=tuple(Descriptor.from_json(layer) for layer in layers),
            annotations=_annotations(value),
        )

    def to_bytes(self) -> bytes:
        """A new manifest document."""
        value: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": self.config.to_json(),
            "layers": [layer.to_json() for layer in self.layers],
        }
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Manifests for several platforms."""

    media_type: str
    manifests: Sequence[Descriptor]
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_bytes(cls, data: bytes, media_type: str = "") -> Index:
        """Parse; raises InvalidArgument. A document that is a manifest as well is refused (media type confusion)."""
        return cls.from_json(load_document(data, "index"), media_type)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], media_type: str = "") -> Index:
        """The same of a document that is parsed already."""
        if "layers" in value or "config" in value or _declared(value) in MANIFEST_TYPES:
            raise InvalidArgument(
                'index has the "layers", "config" or media type of a manifest: ambiguous document'
            )
        manifests = value.get("manifests")
        if not isinstance(manifests, list):
            raise InvalidArgument("index lacks manifests")
        return cls(
            media_type=str(value.get("mediaType") or media_type or OCI_INDEX),
            manifests=tuple(Descriptor.from_json(item) for item in manifests),
            annotations=_annotations(value),
        )

    def to_bytes(self) -> bytes:
        """A new index document."""
        value: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "manifests": [item.to_json() for item in self.manifests],
        }
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        return json.dumps(value, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """An image's configuration document.

    ``config`` is Docker's container config object as found (Cmd, Env, …); ``extra`` is the whole document.
    """

    platform: Platform
    diff_ids: Sequence[str]
    config: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    created: str
    extra: Mapping[str, Any]

    @classmethod
    def from_bytes(cls, data: bytes) -> ImageConfig:
        """Parse; raises InvalidArgument."""
        value = load_document(data, "image config")
        check_config(value)
        rootfs = value.get("rootfs")
        if not isinstance(rootfs, Mapping):
            raise InvalidArgument("image config lacks rootfs.diff_ids")
        diff_ids = tuple(rootfs.get("diff_ids") or ())
        for diff_id in diff_ids:
            digests.parse(diff_id)
        return cls(
            platform=Platform.from_json(value),
            diff_ids=diff_ids,
            config=value.get("config") or {},
            history=tuple(value.get("history") or ()),
            created=str(value.get("created") or ""),
            extra=value,
        )


def chain_id(diff_ids: Sequence[str]) -> str:
    """The chain id of a stack of layers, lowest first; empty for no layer (image-spec config.md)."""
    chain = ""
    for diff_id in diff_ids:
        chain = diff_id if not chain else digests.of(f"{chain} {diff_id}".encode())
    return chain
