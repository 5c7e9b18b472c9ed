"""Which objects are garbage."""

from __future__ import annotations

import json
import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from containerd.gc.graph import Graph, Node, Record, build
from containerd.metadata.db import Database

READERS = {
    "image": lambda data: Record(
        json.loads(data)["labels"], [("content", json.loads(data)["target"])]
    ),
    "container": lambda data: Record(
        json.loads(data)["labels"], [("snapshot", f"overlayfs/{json.loads(data)['key']}")]
    ),
}


class Store:
    """Rows as the daemon would write them, in namespace ``n``."""

    def __init__(self, path: Path) -> None:
        self._database = Database(str(path / "metadata.db"))
        self.connection: sqlite3.Connection = self._database._connection

    def image(self, name: str, target: str, **labels: str) -> None:
        self._record("image", name, {"labels": _named(labels), "target": target})

    def container(self, name: str, key: str, **labels: str) -> None:
        self._record("container", name, {"labels": _named(labels), "key": key})

    def _record(self, kind: str, name: str, data: object) -> None:
        values = (kind, "n", name, json.dumps(data).encode())
        self.connection.execute("INSERT INTO records VALUES (?, ?, ?, ?)", values)

    def blob(self, digest: str, namespace: str = "n", **labels: str) -> None:
        values = (namespace, digest, 1, 0, 0, json.dumps(_named(labels)))
        self.connection.execute("INSERT INTO blobs VALUES (?, ?, ?, ?, ?, ?)", values)

    def snapshot(self, name: str, parent: str | None = None, **labels: str) -> None:
        self.connection.execute(
            "INSERT INTO snapshots (namespace, name, parent, kind, created, updated, labels)"
            " VALUES ('n', ?, (SELECT id FROM snapshots WHERE name = ?), 3, 0, 0, ?)",
            (name, parent, json.dumps(_named(labels))),
        )

    def lease(self, name: str, *resources: tuple[str, str], **labels: str) -> None:
        values = ("n", name, 0, json.dumps(_named(labels)))
        self.connection.execute("INSERT INTO leases VALUES (?, ?, ?, ?)", values)
        for kind, resource in resources:
            values = ("n", name, kind, resource)  # type: ignore[assignment]
            self.connection.execute("INSERT INTO lease_resources VALUES (?, ?, ?, ?)", values)

    def graph(self) -> Graph:
        return build(self.connection, READERS)

    def dead(self) -> set[str]:
        return {node.name.removeprefix("overlayfs/") for node in self.graph().dead()}


def _named(labels: dict[str, str]) -> dict[str, str]:
    return {f"containerd.io/gc.{key.replace('__', '.')}": value for key, value in labels.items()}


def _at(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_an_image_keeps_what_labels_lead_to(store: Store) -> None:
    store.image("i", "manifest")
    store.blob("manifest", ref__content__config="config", ref__content__l__0="layer")
    store.blob("config", ref__snapshot__overlayfs="top")
    store.blob("layer")
    store.blob("loose")
    store.snapshot("base")
    store.snapshot("top", "base")
    store.snapshot("stray", "base")
    assert store.dead() == {"loose", "stray"}


def test_without_the_image_all_goes(store: Store) -> None:
    store.blob("manifest", ref__content="config")
    store.blob("config", ref__snapshot__overlayfs="top")
    store.snapshot("top")
    assert store.dead() == {"manifest", "config", "top"}


def test_a_container_keeps_its_snapshot_and_what_it_names(store: Store) -> None:
    store.snapshot("base")
    store.snapshot("own", "base")
    store.blob("config")
    store.container("c", "own", **{"ref__content/mine": "config"})
    assert store.dead() == set()


def test_namespaces_do_not_keep_for_each_other(store: Store) -> None:
    store.image("i", "manifest")
    store.blob("manifest")
    store.blob("manifest", namespace="other")
    assert [(node.namespace, node.name) for node in store.graph().dead()] == [("other", "manifest")]


def test_root_labels(store: Store) -> None:
    store.blob("kept", root="2026-01-01T00:00:00Z", ref__content="child")
    store.blob("child")
    store.snapshot("kept-snapshot", root="1")
    assert store.dead() == set()


def test_cycles_without_a_root_go(store: Store) -> None:
    store.blob("a", ref__content="b")
    store.blob("b", ref__content="a")
    store.blob("self", ref__content="self")
    assert store.dead() == {"a", "b", "self"}


@pytest.mark.parametrize(
    ("label", "followed"),
    [
        ("ref__content", True),
        ("ref__content__x__y", True),
        ("ref__content/x", True),
        ("ref__contentx", False),
        ("reference__content", False),
    ],
)
def test_names_of_reference_labels(store: Store, label: str, followed: bool) -> None:
    store.image("i", "top")
    store.blob("top", **{label: "child"})
    store.blob("child")
    assert store.dead() == (set() if followed else {"child"})


def test_labels_of_images_refer(store: Store) -> None:
    store.image(
        "i", "m", ref__content__extra="extra", ref__image="other", ref__snapshot__overlayfs="s"
    )
    store.blob("m")
    store.blob("extra")
    store.snapshot("s")
    assert store.dead() == set()


def test_snapshots_of_another_snapshotter_are_not_meant(store: Store) -> None:
    store.image("i", "m", ref__snapshot__native="s")
    store.blob("m")
    store.snapshot("s")
    assert store.dead() == {"s"}


def test_back_references(store: Store) -> None:
    store.image("i", "m")
    store.blob("m")
    store.blob("of-image", bref__image="i")
    store.blob("of-content", **{"bref__content.x": "m"})
    store.blob("of-nobody", bref__image="gone")
    store.snapshot("of-snapshot-base", bref__content="of-content")
    store.snapshot("s2", bref__snapshot__overlayfs="of-snapshot-base")
    store.container("c", "none")
    store.blob("of-container", bref__container="c")
    assert store.dead() == {"of-nobody"}


def test_leases(store: Store) -> None:
    store.lease("l", ("content", "a"), ("snapshots/overlayfs", "top"), ("images", "i"))
    store.blob("a", ref__content="b")
    store.blob("b")
    store.snapshot("base")
    store.snapshot("top", "base")
    assert store.dead() == set()


def test_flat_leases_do_not_follow_references(store: Store) -> None:
    store.lease("l", ("content", "a"), ("snapshots/overlayfs", "top"), ("images", "i"), flat="1")
    store.blob("a", ref__content="b")
    store.blob("b")
    store.image("i", "m", expire=_at(-5))
    store.blob("m", ref__content="config")
    store.blob("config")
    store.snapshot("base")
    store.snapshot("top", "base", ref__content="named")
    store.blob("named")
    assert store.dead() == {"b", "config", "named"}


def test_expired_leases_and_images_go_with_what_they_kept(store: Store) -> None:
    store.lease("old", ("content", "a"), expire=_at(-5))
    store.blob("a")
    store.image("passed", "m", expire=_at(-5))
    store.blob("m")
    assert store.dead() == {"old", "a", "passed", "m"}


def test_the_next_expiry_is_known(store: Store) -> None:
    store.lease("later", expire=_at(500))
    store.image("sooner", "m", expire=_at(100))
    store.blob("content", expire=_at(300))
    graph = store.graph()
    assert graph.dead() == []
    assert graph.expiry is not None
    assert 90 < graph.expiry - time.time() < 110


def test_a_malformed_time_does_not_expire(store: Store) -> None:
    store.lease("odd", ("content", "a"), expire="tomorrow")
    store.blob("a")
    assert store.dead() == set()


def test_uploads(store: Store) -> None:
    future = int((time.time() + 100) * 1e9)
    for ref, expected, expires in (("new", "shared", future), ("old", "", 1), ("leased", "", None)):
        store.connection.execute(
            "INSERT INTO ingests (namespace, ref, total, expected, started, expires)"
            " VALUES ('n', ?, 0, ?, 0, ?)",
            (ref, expected, expires),
        )
    store.blob("shared")
    store.lease("l", ("ingests", "leased"))
    assert store.dead() == {"old"}


def test_deep_chains(store: Store) -> None:
    """No recursion: an attacker's labels may be long."""
    graph = Graph()
    for number in range(50_000):
        graph.add(
            Node("content", "n", str(number)), {"containerd.io/gc.ref.content": str(number + 1)}
        )
    graph.roots.append(Node("content", "n", "0"))
    assert graph.dead() == []
