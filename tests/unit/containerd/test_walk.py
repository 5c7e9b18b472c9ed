"""Walking indexes, honest and hostile."""

from __future__ import annotations

import json
import time

import pytest

from containerd.images.labels import children, tree
from containerd.images.walk import descend, manifest_for, manifest_of, manifests
from wire.digest import of
from wire.errors import InvalidArgument, NotFound
from wire.oci.image import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Descriptor, Platform

Content = dict[str, bytes]


def _add(content: Content, document: object, media_type: str) -> dict[str, object]:
    data = json.dumps(document).encode()
    content[of(data)] = data
    return {"mediaType": media_type, "digest": of(data), "size": len(data)}


def _manifest(content: Content, name: str) -> dict[str, object]:
    config = _add(content, {"name": name, "rootfs": {"diff_ids": []}}, OCI_CONFIG)
    layer = {"mediaType": OCI_LAYER, "digest": of(name.encode()), "size": 1}
    return _add(content, {"config": config, "layers": [layer]}, OCI_MANIFEST)


def _index(content: Content, *entries: object) -> dict[str, object]:
    return _add(content, {"manifests": list(entries)}, OCI_INDEX)


def _read(content: Content):
    def read(digest: str) -> bytes:
        if digest not in content:
            raise NotFound(digest)
        return content[digest]

    return read


def _for(entry: dict[str, object], architecture: str) -> dict[str, object]:
    return {**entry, "platform": {"os": "linux", "architecture": architecture}}


def test_the_manifest_for_this_machine_is_found_in_nested_indexes() -> None:
    content: Content = {}
    arm, amd = _manifest(content, "arm"), _manifest(content, "amd")
    inner = _index(content, _for(arm, "arm64"), _for(amd, "amd64"))
    top = Descriptor.from_json(_index(content, inner))
    found, manifest = manifest_of(_read(content), top)
    assert found.digest == amd["digest"]
    assert manifest.layers[0].digest == of(b"amd")
    assert [each.digest for each in manifests(_read(content), top)] == [
        arm["digest"],
        amd["digest"],
    ]


def test_no_manifest_for_this_machine() -> None:
    content: Content = {}
    top = Descriptor.from_json(_index(content, _for(_manifest(content, "arm"), "arm64")))
    with pytest.raises(NotFound, match="no match for platform"):
        manifest_of(_read(content), top)


def test_one_platform_of_several() -> None:
    content: Content = {}
    arm, amd = _for(_manifest(content, "arm"), "arm64"), _for(_manifest(content, "amd"), "amd64")
    top = Descriptor.from_json(_index(content, arm, amd))
    read, wanted = _read(content), [Platform(os="linux", architecture="arm64")]
    assert manifest_for(read, top, wanted)[0].digest == arm["digest"]
    assert manifest_for(read, top, [])[0].digest == amd["digest"]
    found = {each.digest for each in descend(read, top, content.__contains__, wanted)}
    assert of(b"arm") in found
    assert not {amd["digest"], of(b"amd")} & found
    with pytest.raises(NotFound, match="no match for platform linux/s390x"):
        manifest_for(read, top, [Platform(os="linux", architecture="s390x")])
    other = Descriptor.from_json(_index(content, arm))
    assert manifest_for(read, other, [])[0].digest == arm["digest"]


def test_an_image_without_an_index_tells_its_platform_in_its_config() -> None:
    content: Content = {}
    document = {"os": "linux", "architecture": "arm64", "rootfs": {"diff_ids": []}}
    manifest = {"config": _add(content, document, OCI_CONFIG), "layers": []}
    top = Descriptor.from_json(_add(content, manifest, OCI_MANIFEST))
    assert manifest_for(_read(content), top, [Platform(os="linux", architecture="arm64")])[0] == top
    with pytest.raises(NotFound):
        manifest_for(_read(content), top, [Platform(os="linux", architecture="amd64")])


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="is not that of an image"):
        manifest_of(_read({}), Descriptor(media_type="text/plain", digest=of(b""), size=1))


def test_missing_parts_end_the_walk_quietly() -> None:
    content: Content = {}
    top = Descriptor.from_json(
        _index(content, {"mediaType": OCI_MANIFEST, "digest": of(b"?"), "size": 1})
    )
    digests = [
        each.digest for each in descend(_read(content), top, lambda digest: digest in content)
    ]
    assert digests == [top.digest, of(b"?")]
    assert set(tree(_read(content), top)) == {top.digest}


def test_layers_are_not_read() -> None:
    """They may be of any size."""
    content: Content = {}
    top = Descriptor.from_json(_manifest(content, "amd"))

    def read(digest: str) -> bytes:
        assert digest == top.digest
        return content[digest]

    assert set(tree(read, top)) == {top.digest}


def test_a_web_of_indexes_is_walked_once() -> None:
    """Ten indexes that each name the next one a thousand times: 10^30 paths, ten documents."""
    content: Content = {}
    entry = _for(_manifest(content, "arm"), "arm64")
    for _ in range(8):
        entry = _index(content, *[entry] * 1000)
    top = Descriptor.from_json(entry)
    started = time.process_time()
    with pytest.raises(NotFound):
        manifest_of(_read(content), top)
    assert len(list(descend(_read(content), top, lambda digest: digest in content))) == 11
    assert len(tree(_read(content), top)) == 9
    assert time.process_time() - started < 5


def test_indexes_that_are_too_deep_are_refused() -> None:
    content: Content = {}
    entry = _manifest(content, "deep")
    for _ in range(20):
        entry = _index(content, entry)
    with pytest.raises(InvalidArgument):
        manifest_of(_read(content), Descriptor.from_json(entry))


def test_labels_name_the_children() -> None:
    content: Content = {}
    manifest = _manifest(content, "x")
    index = _index(content, manifest, manifest)
    labels = children(content[str(index["digest"])], OCI_INDEX)
    assert labels == {f"containerd.io/gc.ref.content.m.{n}": manifest["digest"] for n in (0, 1)}
    labels = children(content[str(manifest["digest"])], OCI_MANIFEST)
    assert set(labels) == {
        "containerd.io/gc.ref.content.config",
        "containerd.io/gc.ref.content.l.0",
    }
    assert children(b"anything", "text/plain") == {}
