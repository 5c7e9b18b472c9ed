"""Many clients at once: the work is done once, and nobody is turned away."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import grpc
from tests.integration.ctr.test_mirrors import HERE, _pull
from tests.support.containerd import OURS, Containerd
from tests.support.images import busybox_layer, docker_archive, layer
from tests.support.registry import Registry

from wire.gen.containerd.services.leases.v1 import leases_pb2, leases_pb2_grpc


def test_many_pulls_of_one_image_fetch_and_unpack_once(
    containerd: Containerd, registry: Registry
) -> None:
    layers = [busybox_layer(), *(layer({f"many{n}": b"x" * 100_000}) for n in range(5))]
    name = registry.push(docker_archive("x:1", layers), "many:1")
    before = len(registry.log)
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda _: _pull(containerd, name), range(10)))
    asked = Counter(re.findall(r'"GET /v2/many/blobs/(\S+) ', registry.log[before:]))
    assert len(asked) == len(layers) + 1
    assert set(asked.values()) == {1}
    assert len(containerd.directories()) == len(layers)
    out = containerd.ctr("run", "--rm", "--runtime", OURS, name, "many", "ls", "-d", "/many4")
    assert out == "/many4"


def test_pulls_into_two_namespaces_at_once(
    containerd: Containerd, archive: object, registry: Registry
) -> None:
    name = registry.push(docker_archive("x:1", [busybox_layer(), layer({"two": b"1"})]), "both:1")
    with ThreadPoolExecutor(2) as pool:
        list(
            pool.map(
                lambda where: containerd.ctr("-n", where, "images", "pull", "--plain-http", name),
                ["default", "second"],
            )
        )
    for where in ("default", "second"):
        words = ("-n", where, "run", "--rm", "--runtime", OURS, name, f"in-{where}", "cat", "/two")
        assert containerd.ctr(*words) == "1"
    containerd.ctr("images", "rm", "--sync", name)
    words = ("-n", "second", "run", "--rm", "--runtime", OURS, name, "still", "cat", "/two")
    assert containerd.ctr(*words) == "1"


def test_thousands_of_pending_calls_are_all_answered(containerd: Containerd) -> None:
    """gRPC's admission control would turn some of more than a thousand away."""
    stub = leases_pb2_grpc.LeasesStub(containerd.channel)
    calls = [stub.List.future(leases_pb2.ListRequest(), metadata=HERE) for _ in range(4000)]
    codes = Counter(call.code() for call in calls)
    assert codes == {grpc.StatusCode.OK: 4000}
