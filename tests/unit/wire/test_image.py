import json

import pytest

from wire import digest
from wire.errors import InvalidArgument
from wire.oci.image import OCI_MANIFEST, Index, Manifest, chain_id

LAYER = {"mediaType": "x", "digest": digest.of(b""), "size": 0}


def test_a_manifest_comes_back_from_its_own_bytes() -> None:
    manifest = Manifest.from_bytes(json.dumps({"config": LAYER, "layers": [LAYER]}).encode())
    assert manifest.media_type == OCI_MANIFEST
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b"{",
        b"{}",
        json.dumps({"config": LAYER, "layers": [LAYER], "manifests": []}).encode(),
        json.dumps({"config": {**LAYER, "size": -1}, "layers": []}).encode(),
        json.dumps({"config": {**LAYER, "digest": "sha256:0"}, "layers": []}).encode(),
    ],
)
def test_a_bad_manifest_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidArgument):
        Manifest.from_bytes(document)


def test_an_index_that_is_also_a_manifest_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="ambiguous"):
        Index.from_bytes(json.dumps({"manifests": [], "layers": []}).encode())


def test_chain_id_follows_the_image_spec() -> None:
    one, two = digest.of(b"1"), digest.of(b"2")
    assert chain_id([one]) == one
    assert chain_id([one, two]) == digest.of(f"{one} {two}".encode())
