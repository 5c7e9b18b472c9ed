"""What refers to what: roots, references and back references, read from the metadata in one transaction.

The rules are containerd's. Images, containers, leases and whatever has the root label are roots; the labels
``containerd.io/gc.ref.*`` lead from an object to what it needs, ``containerd.io/gc.bref.*`` from an object to the one
that keeps it.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

logger = logging.getLogger(__name__)

SNAPSHOTTER: Final = "overlayfs"
_ROOT: Final = "containerd.io/gc.root"
_EXPIRE: Final = "containerd.io/gc.expire"
_FLAT: Final = "containerd.io/gc.flat"
_REFERENCE: Final = "containerd.io/gc.ref."
_BACK: Final = "containerd.io/gc.bref."
# Nothing needs a container by a label, and a mount keeps nothing.
_ONE_WAY: Final[Mapping[str, str]] = {"container": _BACK, "mount": _REFERENCE}


class Node(NamedTuple):
    """One object. Kinds: ``content``, ``snapshot``, ``image``, ``container``, ``ingest``, ``lease``, ``mount``.

    A snapshot's name is ``<snapshotter>/<key>``. What a ``flat`` node refers to is not kept (a snapshot's parents are).
    """

    kind: str
    namespace: str
    name: str
    flat: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """What the collector must know of a stored record: its labels, and what it refers to without a label."""

    labels: Mapping[str, str]
    references: Sequence[tuple[str, str]] = ()


# Reads the records of a kind.
Reader = Callable[[bytes], Record]


@dataclass(slots=True)
class Graph:
    """All objects of all namespaces; ``expiry`` is when the next one of them loses its protection (seconds, or None)."""

    nodes: dict[Node, Mapping[str, str]] = field(default_factory=dict)
    edges: dict[Node, list[Node]] = field(default_factory=dict)
    roots: list[Node] = field(default_factory=list)
    expiry: float | None = None

    def add(self, node: Node, labels: Mapping[str, str]) -> None:
        """An object with the references and back references that its labels make."""
        self.nodes[node] = labels
        for key, value in labels.items():
            for kind, name in _targets(key, value, _REFERENCE):
                self.connect(node, Node(kind, node.namespace, name))
            for kind, name in _targets(key, value, _BACK):
                self.connect(Node(kind, node.namespace, name), node)

    def connect(self, source: Node, target: Node) -> None:
        """``source`` keeps ``target``."""
        self.edges.setdefault(source, []).append(target)

    def dead(self) -> list[Node]:
        """The objects that no root leads to."""
        alive: set[Node] = set()
        pending = list(self.roots)
        while pending:
            node = pending.pop()
            if node in alive:
                continue
            alive.add(node)
            plain = node._replace(flat=False)
            for target in self.edges.get(plain, ()):
                if not node.flat:
                    pending.append(target)
                elif (node.kind, target.kind) in {("snapshot", "snapshot"), ("image", "content")}:
                    pending.append(target._replace(flat=True))
        return [node for node in self.nodes if {node, node._replace(flat=True)}.isdisjoint(alive)]

    def expires(self, labels: Mapping[str, str], now: float) -> bool | None:
        """Whether the time of an object is over; None for one without a time. Notes times to come."""
        value = labels.get(_EXPIRE)
        if value is None:
            return None
        try:
            moment = _moment(value)
        except ValueError:
            logger.info("ignoring invalid expiration value", extra={"value": value})
            return None
        if moment < now:
            return True
        self.expiry = moment if self.expiry is None else min(self.expiry, moment)
        return False


def build(connection: sqlite3.Connection, readers: Mapping[str, Reader]) -> Graph:
    """Read everything."""
    graph = Graph()
    now = time.time()
    _add_leases(graph, connection, now)
    _add_records(graph, connection, readers, now)
    for namespace, digest, labels in connection.execute(
        "SELECT namespace, digest, labels FROM blobs"
    ):
        _add_protected(graph, Node("content", namespace, digest), json.loads(labels), now)
    for namespace, ref, expected, expires in connection.execute(
        "SELECT namespace, ref, expected, expires FROM ingests"
    ):
        node = Node("ingest", namespace, ref)
        graph.add(node, {})
        if expected:
            graph.connect(node, Node("content", namespace, expected))
        if expires is not None and expires / 1e9 > now:
            graph.roots.append(node)
    _add_snapshots(graph, connection, now)
    return graph


def _add_protected(graph: Graph, node: Node, labels: Mapping[str, str], now: float) -> None:
    """Content or a snapshot: a root if it says so, or as long as its time has not come."""
    graph.add(node, labels)
    if _ROOT in labels or graph.expires(labels, now) is False:
        graph.roots.append(node)


def _add_leases(graph: Graph, connection: sqlite3.Connection, now: float) -> None:
    flat = {}
    for namespace, name, text in connection.execute("SELECT namespace, id, labels FROM leases"):
        labels = json.loads(text)
        node = Node("lease", namespace, name)
        graph.nodes[node] = labels
        if not graph.expires(labels, now):
            graph.roots.append(node)
        flat[node] = _FLAT in labels
    for namespace, lease, kind, name in connection.execute(
        "SELECT namespace, lease, type, id FROM lease_resources"
    ):
        node = Node("lease", namespace, lease)
        word, _, snapshotter = kind.partition("/")
        target = {
            "content": Node("content", namespace, name),
            "ingests": Node("ingest", namespace, name),
            "images": Node("image", namespace, name),
            "mounts": Node("mount", namespace, name),
            "snapshots": Node("snapshot", namespace, f"{snapshotter}/{name}"),
        }[word]
        graph.connect(node, target._replace(flat=flat.get(node, False) and word != "ingests"))


def _add_records(
    graph: Graph, connection: sqlite3.Connection, readers: Mapping[str, Reader], now: float
) -> None:
    for kind, namespace, name, data in connection.execute(
        "SELECT kind, namespace, name, data FROM records"
    ):
        reader = readers.get(kind)
        if reader is None:
            continue
        record = reader(data)
        node = Node(kind, namespace, name)
        graph.add(node, record.labels)
        for target_kind, target in record.references:
            graph.connect(node, Node(target_kind, namespace, target))
        # A mount is kept by what its labels name, or by a lease.
        if kind != "mount" and (kind != "image" or not graph.expires(record.labels, now)):
            graph.roots.append(node)


def _add_snapshots(graph: Graph, connection: sqlite3.Connection, now: float) -> None:
    rows = connection.execute(
        "SELECT id, namespace, name, parent, labels, snapshotter FROM snapshots"
    ).fetchall()
    names = {row[0]: row[2] for row in rows}
    for _, namespace, name, parent, labels, snapshotter in rows:
        node = Node("snapshot", namespace, f"{snapshotter}/{name}")
        _add_protected(graph, node, json.loads(labels), now)
        if parent is not None:
            graph.connect(node, Node("snapshot", namespace, f"{snapshotter}/{names[parent]}"))


def _targets(key: str, value: str, prefix: str) -> Iterator[tuple[str, str]]:
    """What a label points at; what stands behind the kind (and for a snapshot its snapshotter) is free."""
    if not key.startswith(prefix):
        return
    rest = key.removeprefix(prefix)
    for kind in ("content", "image", "container", "mount"):
        if rest == kind or rest.startswith((f"{kind}.", f"{kind}/")):
            if kind not in _ONE_WAY or prefix == _ONE_WAY[kind]:
                yield kind, value
            return
    if rest.startswith("snapshot."):
        snapshotter = rest.removeprefix("snapshot.").partition("/")[0]
        yield "snapshot", f"{snapshotter}/{value}"


def _moment(value: str) -> float:
    found = datetime.fromisoformat(value)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
