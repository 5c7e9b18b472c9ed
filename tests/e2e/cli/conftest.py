"""Where the tables are tried: on our stack, or with DOCKYARD_TRY=original on Debian's Docker, to see that they say the truth."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

import pytest
from tests.support.cli import Bench, Row
from tests.support.debian import CONFIG, original, surroundings
from tests.support.images import BUSYBOX, busybox_layer, docker_archive
from tests.support.registry import Registry, running_registry
from tests.support.stack import Stack, wait_until

_ON_ORIGINAL = os.environ.get("DOCKYARD_TRY") == "original"


@contextlib.contextmanager
def _original() -> Iterator[Stack]:
    """Debian's dockerd on Debian's containerd, in surroundings of their own."""
    with surroundings("cli") as inside:
        root = inside.root
        (root / "config.toml").write_text(CONFIG)
        address = root / "c.sock"
        inside.start(
            "containerd",
            *(original("containerd"), "--config", root / "config.toml", "--address", address),
            *("--root", root / "data", "--state", root / "state"),
        )
        inside.answers("containerd", original("ctr"), "--address", address, "version")
        stack = Stack(root)
        inside.start(
            "dockerd",
            *(original("dockerd"), "--containerd", address, "-H", stack.url),
            *("--data-root", root / "docker", "--exec-root", root / "exec"),
            *("--pidfile", root / "dockerd.pid"),
        )
        inside.answers("dockerd", "docker", "-H", stack.url, "version")
        stack.docker("load", stdin=docker_archive(BUSYBOX, [busybox_layer()]))
        yield stack
        stack.remove_all()


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The engine of the whole run."""
    if not _ON_ORIGINAL:
        yield request.getfixturevalue("session_stack")
        return
    with _original() as stack:
        yield stack


@pytest.fixture(scope="module")
def bench(engine: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The engine with one running container `box` and one that has ended, `ended`, for a whole module."""
    version = re.search(r"version (\d+)", engine.docker("--version"))
    assert version is not None
    found = Bench(engine, tmp_path_factory.mktemp("cli"), int(version[1]))
    found.keep(
        "--name", "box", "--label", "kind=box", "-p", "127.0.0.1::80", "busybox", "sleep", "1000"
    )
    script = "echo one; echo two >&2; exit 7"
    found.keep("--name", "ended", "--label", "kind=ended", "busybox", "sh", "-c", script)
    engine.docker("wait", "ended")
    wait_until(lambda: "two" in engine.call("logs", "ended").err, what="the log")
    yield found
    found.clear(everything=True)


@pytest.fixture
def table(bench: Bench, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The bench for one row, which is skipped where it cannot hold."""
    each = request.getfixturevalue("each") if "each" in request.fixturenames else None
    if isinstance(each, Row):
        if each.since > bench.version:
            pytest.skip(f"needs a docker CLI {each.since}, this one is {bench.version}")
        if each.original and _ON_ORIGINAL:
            pytest.skip(f"Docker 20.10: {each.original}")
    yield bench
    bench.clear()


@pytest.fixture(scope="session")
def registry(engine: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that the engine can reach, with one image of two tags."""
    if _ON_ORIGINAL:
        pytest.skip("the original has a network of its own, in which there is no registry")
    with running_registry(tmp_path_factory.mktemp("registry")) as found:
        archive = docker_archive("app:1", [busybox_layer()], {"Cmd": ["echo", "pulled"]})
        found.push(archive, "app:1")
        found.push(archive, "app:2")
        yield found
