from pathlib import Path

import pytest

from wire import typeurl
from wire.addresses import SOCKET_PATH_LIMIT, shim_socket, short_dir
from wire.atomic import FileLock, write_atomic
from wire.errors import InvalidArgument, NotFound, Unavailable
from wire.gen.containerd.events import task_pb2
from wire.identifiers import validate


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "record"
    write_atomic(path, b"old")
    write_atomic(path, b"new", 0o640)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [item.name for item in tmp_path.iterdir()] == ["record"]


def test_a_lock_is_refused_to_a_second_holder_until_it_is_released(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    first.acquire()
    with pytest.raises(Unavailable):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


@pytest.mark.parametrize("state", ["/run/containerd", "/a" * 60])
def test_a_shim_socket_fits_in_sun_path(state: str) -> None:
    assert len(shim_socket(short_dir(state), "/g", "moby", "x") + ".a") <= SOCKET_PATH_LIMIT


@pytest.mark.parametrize("identifier", ["", "-a", "a/b", "a..b", "a" * 77, "a\n"])
def test_a_bad_identifier_is_refused(identifier: str) -> None:
    with pytest.raises(InvalidArgument):
        validate(identifier)


def test_an_any_has_the_bare_name_and_comes_back() -> None:
    packed = typeurl.pack(task_pb2.TaskExit(container_id="c", exit_status=3))
    assert packed.type_url == "containerd.events.TaskExit"
    assert typeurl.unpack(packed) == task_pb2.TaskExit(container_id="c", exit_status=3)
    packed.type_url = "no.such.Type"
    with pytest.raises(NotFound):
        typeurl.unpack(packed)
