"""The names that an import gives the images of an archive."""

from __future__ import annotations

import pytest

from containerd.transfer.archives import Imported, full_name
from containerd.transfer.names import names
from wire.gen.containerd.types.transfer import imagestore_pb2
from wire.oci.image import Descriptor

DIGEST = "sha256:" + "ab" * 32
TARGET = Descriptor(media_type="m", digest=DIGEST, size=1)
FULL = Imported("docker.io/library/a:1", "1", TARGET)
TAG = Imported("", "latest", TARGET)
NOTHING = Imported("", "", TARGET)


def _reference(name: str, *flags: str) -> imagestore_pb2.ImageReference:
    return imagestore_pb2.ImageReference(name=name, is_prefix=True, **dict.fromkeys(flags, True))


@pytest.mark.parametrize(
    ("image", "reference", "expected"),
    [
        (FULL, _reference("import", "allow_overwrite"), [FULL.name]),
        (FULL, _reference("import"), []),
        (FULL, _reference("docker.io/library/a"), [FULL.name]),
        (FULL, _reference("docker.io/lib"), []),
        (FULL, _reference("import", "add_digest"), [f"import@{DIGEST}"]),
        (TAG, _reference("import"), ["import:latest"]),
        (
            TAG,
            _reference("import", "add_digest"),
            ["import:latest", f"import@{DIGEST}"],
        ),
        (TAG, _reference("import", "add_digest", "skip_named_digest"), ["import:latest"]),
        (NOTHING, _reference("import", "allow_overwrite"), []),
        (
            NOTHING,
            _reference("import", "add_digest", "skip_named_digest"),
            [f"import@{DIGEST}"],
        ),
        (FULL, imagestore_pb2.ImageReference(name="docker.io/other:2"), []),
    ],
)
def test_names(
    image: Imported, reference: imagestore_pb2.ImageReference, expected: list[str]
) -> None:
    assert names(image, [reference]) == expected


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("", ""),
        ("a", "docker.io/library/a:latest"),
        ("a:1", "docker.io/library/a:1"),
        ("b/a", "docker.io/b/a:latest"),
        ("localhost/a", "localhost/a:latest"),
        ("host:5000/a:1", "host:5000/a:1"),
    ],
)
def test_a_name_of_docker_save_becomes_full(name: str, full: str) -> None:
    assert full_name(name) == full
