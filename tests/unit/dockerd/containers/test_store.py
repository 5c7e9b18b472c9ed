"""What a store finds on disk: containers, removed ones of which something is left, and creations that were cut short."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dockerd.containers.errors import ContainerNotFound
from dockerd.containers.model import Container
from dockerd.containers.store import ContainerStore


def made(root: Path, letter: str, *, rm: bool = False) -> Container:
    directory = root / "containers" / (letter * 64)
    directory.mkdir(parents=True)
    (directory / "mounts").mkdir()
    (directory / "hosts").write_text("127.0.0.1 localhost\n")
    container = Container(
        container_id=letter * 64,
        name=letter,
        created="",
        image="",
        image_name="",
        top="",
        config={},
        host={"AutoRemove": rm},
        networking={},
        path="",
        args=[],
        directory=str(directory),
    )
    container.save()
    return container


def loaded(root: Path) -> ContainerStore:
    store = ContainerStore(str(root))
    store.load()
    return store


@pytest.mark.parametrize("rm", [False, True])
def test_a_retired_container_is_none(tmp_path: Path, rm: bool) -> None:
    made(tmp_path, "a")
    gone = made(tmp_path, "b", rm=rm)
    (tmp_path / "containers" / ("c" * 64)).mkdir()
    gone.retire()
    store = loaded(tmp_path)
    assert [each.name for each in store] == ["a"]
    assert not store.has_name("b")
    assert [each.container_id for each in store.retired()] == [gone.container_id]
    assert store.unfinished() == ("c" * 64,)


def test_a_retired_container_stays_away(tmp_path: Path) -> None:
    gone = made(tmp_path, "a")
    gone.retire()
    with pytest.raises(ContainerNotFound):
        gone.save()
    assert list(loaded(tmp_path)) == []


def test_the_record_of_a_removed_container_goes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = made(tmp_path, "a")
    gone.retire()
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", lambda path: (_ for _ in ()).throw(OSError("full")))
        with pytest.raises(OSError, match="full"):
            gone.erase()
    (left,) = loaded(tmp_path).retired()
    left.erase()
    assert not os.path.exists(gone.directory)


def test_an_unreadable_record_keeps_the_rest(tmp_path: Path) -> None:
    made(tmp_path, "a")
    broken = made(tmp_path, "b")
    Path(broken.directory, "config.v2.json").write_text("{")
    store = loaded(tmp_path)
    assert [each.name for each in store] == ["a"]
    assert (store.retired(), store.unfinished()) == ((), ())
