"""Known flaws of Docker, Podman and what they are made of, tried on dockerd: one test for each number, or several.

Hostile archives for images and layers are tried in tests/unit/containerd, networks in tests/integration/networks,
authorization in test_authorization.py, the runtime in tests/security.
"""

from __future__ import annotations

import bz2
import concurrent.futures
import contextlib
import gzip
import http.client
import io
import json
import lzma
import os
import socket
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.images import docker_archive, layer
from tests.support.memory import little_memory
from tests.support.stack import Stack, wait_until

_MEBI = 1 << 20
_UPGRADE = b"Host: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
_MARK = "executed-by-the-host"
# What dockerd, or a helper of it, might look for: name-service libraries, decompressors, tools of `docker top`.
_LIBRARIES = (
    "etc/nsswitch.conf",
    "lib/x86_64-linux-gnu/libnss_files.so.2",
    "lib64/libnss_files.so.2",
)
_PROGRAMS = (
    "bin/xz",
    "bin/gzip",
    "bin/unpigz",
    "bin/unxz",
    "bin/zstd",
    "bin/bzip2",
    "bin/tar",
    "bin/ps",
    "bin/nsenter",
)


@pytest.fixture(autouse=True)
def _unharmed(stack: Stack) -> Iterator[None]:
    """No daemon dies of it."""
    before = {daemon: stack.pid(daemon) for daemon in ("dockerd", "containerd")}
    yield
    assert {daemon: stack.pid(daemon) for daemon in before} == before
    assert stack.request("GET", "/_ping")[0] == 200


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A folder of the host that nothing may change."""
    folder = tmp_path / "canary"
    folder.mkdir(mode=0o700)
    (folder / "file").write_text("untouched")
    (folder / "file").chmod(0o600)
    return folder


def _state(folder: Path) -> list[tuple[str, int, int, bytes]]:
    found = []
    for path in (folder, *sorted(folder.rglob("*"))):
        status = path.lstat()
        found.append(
            (str(path), status.st_mode, status.st_uid, path.read_bytes() if path.is_file() else b"")
        )
    return found


def _archive(fill: Callable[[tarfile.TarFile], None]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        fill(archive)
    return buffer.getvalue()


def _file(name: str, content: bytes, mode: int = 0o644) -> Callable[[tarfile.TarFile], None]:
    def fill(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), mode
        archive.addfile(member, io.BytesIO(content))

    return fill


def _put(stack: Stack, container: str, path: str, data: bytes) -> int:
    return stack.request("PUT", f"/containers/{container}/archive?path={path}", data)[0]


def _raw(stack: Stack) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(stack.socket))
    return connection


# -- K16: the host executes, or loads, files of a guest


def _poison(stack: Stack) -> None:
    """A running container whose libraries cannot be opened without waiting for ever, and whose programs leave a mark."""
    stack.docker("run", "-d", "--name", "poison", "busybox", "sleep", "1000")
    make = " && ".join(
        f"mkdir -p /{os.path.dirname(each)} && mkfifo /{each}" for each in _LIBRARIES
    )
    stack.docker("exec", "poison", "sh", "-c", make)
    program = f"#!/bin/sh\necho >> /tmp/{_MARK}\n".encode()
    for each in _PROGRAMS:
        stack.docker("exec", "poison", "rm", "-f", f"/{each}")
        assert _put(stack, "poison", "/", _archive(_file(each, program, 0o755))) == 200
    Path(f"/tmp/{_MARK}").unlink(missing_ok=True)


def _check_no_mark(stack: Stack) -> None:
    assert not Path(f"/tmp/{_MARK}").exists()
    assert stack.call("exec", "poison", "test", "-e", f"/tmp/{_MARK}").code == 1


def test_cve_2019_14271_copying_loads_no_library_of_the_container(stack: Stack) -> None:
    _poison(stack)
    assert _put(stack, "poison", "/tmp", _archive(_file("given", b"x"))) == 200
    assert b"given" in stack.call("cp", "poison:/tmp/given", "-", binary=True).stdout
    stack.docker("stop", "-t", "0", "poison")
    assert _put(stack, "poison", "/tmp", _archive(_file("given", b"x"))) == 200
    assert b"given" in stack.call("cp", "poison:/tmp/given", "-", binary=True).stdout
    assert stack.call("export", "poison", binary=True).returncode == 0


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_cve_2026_41567_copying_runs_no_decompressor_of_the_container(
    stack: Stack, compress: Callable[[bytes], bytes]
) -> None:
    _poison(stack)
    status = _put(stack, "poison", "/tmp", compress(_archive(_file("packed", b"x"))))
    assert status in {200, 400}
    assert stack.call("exec", "poison", "test", "-e", "/tmp/packed").code == (status != 200)
    _check_no_mark(stack)


def test_cve_2022_1227_top_runs_nothing_of_the_container(stack: Stack) -> None:
    _poison(stack)
    assert "sleep 1000" in stack.docker("top", "poison")
    assert "sleep" in stack.docker("top", "poison", "-eo", "pid,comm")
    _check_no_mark(stack)


# -- K8: paths and links


@pytest.mark.parametrize("climb", ["", "../" * 12])
@pytest.mark.parametrize("running", [True, False])
def test_cve_2021_41089_copying_changes_nothing_of_the_host(
    stack: Stack, canary: Path, climb: str, running: bool
) -> None:
    target = f"{climb}{str(canary).lstrip('/')}" if climb else str(canary)
    stack.docker(
        "run",
        "-d",
        "--name",
        "box",
        "busybox",
        "sh",
        "-c",
        f"ln -s {target} /tmp/way; exec sleep 1000",
    )
    wait_until(lambda: stack.call("exec", "box", "test", "-L", "/tmp/way").code == 0)
    if not running:
        stack.docker("stop", "-t", "0", "box")
    before = _state(canary)

    def fill(archive: tarfile.TarFile) -> None:
        for name in ("way", "way/", "way/file"):
            member = tarfile.TarInfo(name)
            member.mode = 0o777
            if name != "way/file":
                member.type = tarfile.DIRTYPE
            archive.addfile(member, io.BytesIO(b""))

    _put(stack, "box", "/tmp/way", _archive(fill))
    _put(stack, "box", "/tmp/way/", _archive(_file("file", b"changed", 0o777)))
    _put(stack, "box", "/tmp", _archive(fill))
    _put(
        stack,
        "box",
        "/tmp",
        _archive(_file(f"{'../' * 12}{str(canary).lstrip('/')}/file", b"changed")),
    )
    _put(stack, "box", "/tmp", _archive(_file(f"{canary}/file", b"changed")))
    assert _state(canary) == before
    for path in ("/tmp/way/file", "/tmp/way/", f"/tmp/../..{canary}/file"):
        assert b"untouched" not in stack.call("cp", f"box:{path}", "-", binary=True).stdout


@pytest.mark.parametrize("direction", ["in", "out"])
def test_cve_2026_41568_cve_2026_42306_names_that_change_while_copying_lead_nowhere(
    stack: Stack, canary: Path, direction: str
) -> None:
    script = f"cd /data; while :; do mkdir d; touch d/file; rm -rf d; ln -s {canary} d; rm d; done"
    stack.docker("run", "-d", "--name", "racer", "-v", "/data", "busybox", "sh", "-c", script)
    before = _state(canary)
    data = _archive(_file("file", b"changed", 0o777))
    for _ in range(150):
        if direction == "in":
            _put(stack, "racer", "/data/d", data)
            _put(stack, "racer", "/data", _archive(_file("d/file", b"changed", 0o777)))
        else:
            found: Any = b""
            # What goes away under a copy that has begun ends the stream.
            with contextlib.suppress(http.client.HTTPException, ValueError):
                _, found = stack.request("GET", "/containers/racer/archive?path=/data/d/file")
            assert b"untouched" not in (found if isinstance(found, bytes) else b"")
    assert _state(canary) == before


def test_cve_2025_11395_an_imported_tree_writes_nothing_through_links(
    stack: Stack, canary: Path
) -> None:
    def fill(archive: tarfile.TarFile) -> None:
        link = tarfile.TarInfo("way")
        link.type, link.linkname = tarfile.SYMTYPE, str(canary)
        archive.addfile(link)
        _file("way/file", b"changed", 0o777)(archive)
        hard = tarfile.TarInfo("hard")
        hard.type, hard.linkname = tarfile.LNKTYPE, f"{'../' * 12}{str(canary).lstrip('/')}/file"
        archive.addfile(hard)
        _file("hard", b"changed", 0o777)(archive)

    before = _state(canary)
    stack.call("import", "-", "hostile:1", stdin=_archive(fill))
    stack.call("load", stdin=docker_archive("hostile:2", [_archive(fill)]))
    assert _state(canary) == before
    for name in ("hostile:1", "hostile:2"):
        stack.call("rmi", "-f", name)


# -- K9: input without an end


def test_cve_2026_78659_headers_and_trailers_without_end_are_cut_off(stack: Stack) -> None:
    line = b"X-More: " + b"x" * 8000 + b"\r\n"
    starts = (
        b"GET /_ping HTTP/1.1\r\nHost: d\r\n",
        b"POST /images/load HTTP/1.1\r\nHost: d\r\nTrailer: X-More\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    )
    for start in starts:
        with little_memory(stack), _raw(stack) as connection:
            connection.sendall(start)
            with contextlib.suppress(ConnectionError):
                for _ in range(400_000):
                    connection.sendall(line)
                pytest.fail("gigabytes of headers were taken")


@pytest.mark.parametrize("upgrade", [True, False])
def test_cve_2026_78663_cve_2026_78669_cve_2026_97032_no_frame_of_http_2_is_read(
    stack: Stack, upgrade: bool
) -> None:
    settings = b"\0\0\0\4\0\0\0\0\0"
    with _raw(stack) as connection:
        if upgrade:
            connection.sendall(
                b"GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
            )
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
            return
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings)
        seen = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(1000):
                seen += part
        assert seen == b"" or seen.startswith(b"HTTP/1.1 4")


def test_cve_2022_1708_cve_2022_31030_output_that_nobody_reads_is_not_kept(stack: Stack) -> None:
    stack.docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    with little_memory(stack, "dockerd", "containerd"):
        _, made = stack.request(
            "POST",
            "/containers/box/exec",
            {"AttachStdout": True, "Cmd": ["sh", "-c", "echo $$ > /tmp/pid; exec cat /dev/zero"]},
        )
        with _raw(stack) as connection:
            body = b'{"Detach":false,"Tty":false}'
            head = f"POST /exec/{made['Id']}/start HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            connection.sendall(head.encode() + _UPGRADE + body)
            assert connection.recv(12) == b"HTTP/1.1 101"
            _blocked(stack)


def _blocked(stack: Stack) -> None:
    """Wait until the writer waits for its reader."""

    def found() -> list[str]:
        lines = stack.docker("top", "box", "-eo", "user,pid,args").splitlines()
        return [line.split()[1] for line in lines if line.endswith("cat /dev/zero")]

    # The stream begins before the shell has become what writes.
    (pid,) = wait_until(found)

    def counters() -> str:
        return Path(f"/proc/{pid}/io").read_text().splitlines()[1]

    before = ""
    while (now := counters()) != before:
        before = now
        time.sleep(0.1)


def test_cve_2025_64329_cve_2022_23471_clients_that_stall_or_go_leave_nothing(stack: Stack) -> None:
    stack.docker(
        "run", "-d", "-t", "--name", "box", "busybox", "sh", "-c", "while :; do echo x; done"
    )
    pid = stack.pid("dockerd")
    head = b"POST /containers/box/attach?stream=1&stdout=1&stdin=1 HTTP/1.1\r\n" + _UPGRADE

    def rounds(count: int) -> None:
        connections = [_raw(stack) for _ in range(count)]
        for connection in connections:
            connection.sendall(head)
            assert connection.recv(12) == b"HTTP/1.1 101"
        for connection in connections:
            connection.close()
        for _ in range(count):
            assert stack.request("POST", "/exec/nope/resize?h=1&w=1")[0] == 404
            stack.request("POST", "/containers/box/exec", {"Tty": True, "Cmd": ["no-such"]})

    rounds(5)
    before = len(os.listdir(f"/proc/{pid}/fd"))
    rounds(40)
    wait_until(
        lambda: len(os.listdir(f"/proc/{pid}/fd")) <= before + 3, what="descriptors to be closed"
    )


@pytest.mark.parametrize("name", ["passwd", "group"])
def test_cve_2025_4437_cve_2026_47262_an_endless_list_of_users_is_not_read(
    stack: Stack, name: str
) -> None:
    stack.docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    stack.docker("exec", "box", "truncate", "-s", "3G", f"/etc/{name}")
    with little_memory(stack):
        stack.call("exec", "-u", "user:extra", "box", "true")
        stack.docker("stop", "-t", "0", "box")
        stack.call("start", "box")


@pytest.mark.parametrize("name", ["manifest.json", "index.json"])
def test_cve_2023_25153_an_endless_index_is_not_read(stack: Stack, name: str) -> None:
    size = 300 * _MEBI
    member = tarfile.TarInfo(name)
    member.size = size
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        file.write(member.tobuf())
        for _ in range(size // _MEBI):
            file.write(b" " * _MEBI)
        file.write(bytes(1024))
    with little_memory(stack, "dockerd", "containerd"):
        assert stack.call("load", stdin=packed.getvalue()).code == 1


def test_cve_2021_20291_a_damaged_layer_blocks_nobody(stack: Stack) -> None:
    whole = layer({"file": os.urandom(1 << 18)})
    broken = gzip.compress(whole)[: 1 << 17]
    archive = docker_archive("broken:1", [broken])
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        codes = pool.map(lambda _: stack.call("load", stdin=archive).code, range(4))
        assert list(codes) == [1] * 4
    for packed in (
        lzma.compress(whole)[:100_000],
        bz2.compress(whole)[:100_000],
        b"\xfd7zXZ\0" + bytes(1000),
    ):
        assert stack.call("import", "-", "broken:2", stdin=packed).code == 1
    assert stack.docker("run", "--rm", "busybox", "echo", "works") == "works"


# -- K18: states that mix


def test_cve_2020_14370_cve_2021_21334_cve_2024_36621_creations_side_by_side_do_not_mix(
    stack: Stack,
) -> None:
    def create(number: int) -> dict[str, Any]:
        body = {
            "Image": "busybox",
            "Env": [f"MINE={number}", f"ONLY{number}=1"],
            "Labels": {f"label{number}": "1"},
            "Cmd": ["sh", "-c", "env | grep -E '^(MINE|ONLY)' | sort"],
            "HostConfig": {"Binds": [f"/tmp:/mnt{number}"]} if number % 3 else {},
        }
        status, made = stack.request("POST", "/containers/create", body)
        assert status == 201, made
        found: dict[str, Any] = stack.request("GET", f"/containers/{made['Id']}/json")[1]
        return found

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = list(pool.map(create, range(60)))
        for number, each in enumerate(found):
            own = [value for value in each["Config"]["Env"] if value.startswith(("MINE", "ONLY"))]
            assert own == [f"MINE={number}", f"ONLY{number}=1"]
            assert set(each["Config"]["Labels"]) == {"made-by", f"label{number}"}
            assert (each["HostConfig"].get("Binds") or []) == (
                [f"/tmp:/mnt{number}"] if number % 3 else []
            )
        some = list(enumerate(found))[::6]
        outputs = pool.map(lambda each: stack.docker("start", "-a", each[1]["Id"]), some)
        for (number, _), output in zip(some, outputs, strict=True):
            assert output == f"MINE={number}\nONLY{number}=1"
    image = stack.request("GET", "/images/busybox/json")[1]
    assert image["Config"]["Env"] == ["PATH=/bin"]


def test_cve_2024_36623_progress_of_several_layers_stays_lines_of_json(stack: Stack) -> None:
    layers = [layer({f"file{number}": os.urandom(1 << 18)}) for number in range(8)]
    archive = docker_archive("lines:1", layers)

    def load(_: int) -> list[dict[str, Any]]:
        with contextlib.closing(_raw(stack)) as connection:
            head = f"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: {len(archive)}\r\nConnection: close\r\n\r\n"
            connection.sendall(head.encode() + archive)
            data = b""
            while part := connection.recv(1 << 16):
                data += part
        body = data.partition(b"\r\n\r\n")[2]
        lines = [line for line in body.split(b"\r\n") if line.startswith(b"{")]
        return [json.loads(line) for line in lines]

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for lines in pool.map(load, range(6)):
            assert any("lines:1" in str(line.get("stream")) for line in lines)
    stack.docker("rmi", "lines:1")


@pytest.mark.parametrize("options", [("-v", "named:/data"), ("-v", "named:/data:ro")])
def test_cve_2020_1726_an_image_changes_nothing_in_a_volume_that_has_content(
    stack: Stack, options: tuple[str, ...]
) -> None:
    stack.docker(
        "run", "--rm", "-v", "named:/x", "busybox", "sh", "-c", "echo mine > /x/seed; chmod 700 /x"
    )
    stack.docker("run", "--rm", *options, "busybox", "true")
    found = stack.docker(
        "run", "--rm", "-v", "named:/x", "busybox", "sh", "-c", "cat /x/seed; stat -c %a /x; ls /x"
    )
    assert found == "mine\n700\nseed"
    stack.docker("volume", "rm", "named")


# -- K6: who the process is


def test_cve_2022_24769_nothing_is_inheritable(stack: Stack) -> None:
    show = "grep -E '^Cap(Inh|Amb)' /proc/self/status"
    stack.docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
    for words in (
        ("run", "--rm", "busybox"),
        ("run", "--rm", "--privileged", "busybox"),
        ("run", "--rm", "--cap-add", "ALL", "-u", "1000", "busybox"),
        ("exec", "box"),
        ("exec", "--privileged", "-u", "1000", "box"),
    ):
        values = {line.split()[1] for line in stack.docker(*words, "sh", "-c", show).splitlines()}
        assert values == {"0" * 16}, words


@pytest.mark.parametrize("exec_", [False, True])
def test_cve_2022_36109_the_primary_group_is_a_supplementary_one_too(
    stack: Stack, exec_: bool
) -> None:
    """A group that is denied by a file's mode is denied however the process changes its primary group."""
    for user, groups in (
        ("user", {"1000", "2000"}),
        ("user:extra", {"2000"}),
        ("4711", {"0"}),
        ("4711:33", {"33"}),
    ):
        if exec_:
            stack.docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
            words = ("exec", "-u", user, "box")
        else:
            words = ("run", "--rm", "-u", user, "busybox")
        line = stack.docker(*words, "grep", "^Groups:", "/proc/self/status")
        assert set(line.split()[1:]) == groups, user
        stack.remove_all()


# -- what does not exist here, so that nobody adds it without these numbers


def test_cve_2023_28840_cve_2023_28841_cve_2023_28842_there_are_no_overlay_networks(
    stack: Stack,
) -> None:
    for options in ({}, {"encrypted": ""}):
        for scope in ("", "swarm"):
            body = {"Name": "over", "Driver": "overlay", "Options": options, "Scope": scope}
            status, answer = stack.request("POST", "/networks/create", body)
            assert status in {400, 403, 404, 501, 503}, answer
    assert stack.request("POST", "/swarm/init", {"ListenAddr": "0.0.0.0"})[0] in {501, 503}
    assert "over" not in stack.docker("network", "ls", "--format", "{{.Name}}").split()


def test_cve_2024_24557_nothing_is_built_from_a_cache(stack: Stack) -> None:
    archive = _archive(_file("Dockerfile", b"FROM busybox\nRUN true\n"))
    assert stack.request("POST", "/build", archive)[0] == 501
