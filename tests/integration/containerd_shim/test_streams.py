"""Where a container's output goes, and where its input comes from."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.integration.containerd_shim.conftest import World, runc_options, settle

from wire.errors import InvalidArgument, NotImplementedYet

pytestmark = pytest.mark.root

_FIELD = re.compile(rb"^([A-Z_]+)=(.*)$", re.MULTILINE)

LOGGER = """#!/bin/sh
echo "$@" > "$0.arguments"
env | sort > "$0.environment"
exec 5>&-
cat <&3 > "$0.out" & cat <&4 > "$0.err" & wait
echo done > "$0.end"
"""


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "-l", path], check=True)


@pytest.mark.parametrize("scheme", ["", "fifo://"])
async def test_fifos(world: World, tmp_path: Path, scheme: str) -> None:
    paths = {name: str(tmp_path / name) for name in ("stdin", "stdout", "stderr")}
    for path in paths.values():
        os.mkfifo(path)
    readers = [os.open(paths[name], os.O_RDONLY | os.O_NONBLOCK) for name in ("stdout", "stderr")]
    box = world.bundle()
    uris = {name: f"{scheme}{path}" for name, path in paths.items()}
    await box.create("sh", "-c", "cat; echo err >&2", **uris)
    writer = os.open(paths["stdin"], os.O_WRONLY)
    await box.call("Start")
    os.write(writer, b"in and out")
    os.close(writer)
    await box.call("CloseIO", stdin=True)
    await box.call("Wait")
    assert [os.read(each, 100) for each in readers] == [b"in and out", b"err\n"]
    for each in readers:
        os.close(each)


async def test_a_reader_may_leave_and_another_come(world: World, tmp_path: Path) -> None:
    path = tmp_path / "out"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    box = world.bundle()
    script = "echo one; while ! [ -e /go ]; do sleep 0.05; done; echo two"
    pid = await box.run("sh", "-c", script, stdout=str(path))
    found = bytearray()

    def read(descriptor: int) -> bytes:
        with contextlib.suppress(BlockingIOError):
            found.extend(os.read(descriptor, 100))
        return bytes(found)

    await settle(lambda: read(reader) == b"one\n")
    os.close(reader)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    Path(f"/proc/{pid}/root/go").touch()
    try:
        await box.call("Wait")
        await settle(lambda: read(reader) == b"one\ntwo\n")
    finally:
        (world.rootfs / "go").unlink()
        os.close(reader)


async def test_a_bare_path_may_be_a_file(world: World, tmp_path: Path) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    out.write_text("before\n")
    err.touch()
    box = world.bundle()
    await box.run("sh", "-c", "echo out; echo err >&2", stdout=str(out), stderr=str(err))
    await box.call("Wait")
    assert (out.read_text(), err.read_text()) == ("before\nout\n", "err\n")
    with pytest.raises(InvalidArgument, match="does not exist"):
        await world.bundle().run("true", stdout=str(tmp_path / "nowhere"))


async def test_what_other_shims_have_is_refused(world: World) -> None:
    with pytest.raises(InvalidArgument, match="stdio scheme"):
        await world.bundle().run("true", stdout="npipe:////./pipe/x")
    with pytest.raises(NotImplementedYet, match=r"'ttrpc\+unix' is not implemented"):
        await world.bundle().run("true", stdout="ttrpc+unix:///run/x?streaming_id=1")
    with pytest.raises(InvalidArgument, match="stdin scheme"):
        await world.bundle().run("true", stdin="file:///etc/hostname")


async def test_pipes_belong_to_whom_the_options_name(world: World, tmp_path: Path) -> None:
    box = world.bundle()
    options = runc_options(io_uid=1234, io_gid=4321)
    stdin = str(tmp_path / "in")
    os.mkfifo(stdin)
    out = f"file://{tmp_path}/out"
    pid = await box.run("sleep", "100", stdin=stdin, stdout=out, stderr=out, options=options)
    inner = await box.exec("more", "sleep", "100", stdout=out, stderr=out)
    # The user is the runtime's business again: it gives the streams to the container's.
    found = [os.stat(f"/proc/{pid}/fd/{each}").st_gid for each in range(3)]
    assert found == [4321, 4321, 4321]
    # Without input it reads /dev/null, which stays what it is.
    assert [os.stat(f"/proc/{inner}/fd/{each}").st_gid for each in range(3)] == [0, 4321, 4321]
    assert os.stat("/dev/null").st_gid == 0


async def test_a_missing_reader_does_not_lose_output(world: World, tmp_path: Path) -> None:
    path = tmp_path / "out"
    os.mkfifo(path)
    box = world.bundle()
    await box.run("sh", "-c", "seq 1 20000", stdout=str(path))
    # More than the pipes hold: it waits for a reader.
    await asyncio.sleep(0.2)
    found = bytearray()
    with open(path, "rb") as reader:
        while data := await asyncio.to_thread(reader.read, 65536):
            found += data
    assert found.split() == [b"%d" % n for n in range(1, 20001)]


async def test_a_file_takes_both_streams_and_is_appended_to(world: World, tmp_path: Path) -> None:
    path = tmp_path / "new folder/log"
    for _ in range(2):
        box = world.bundle()
        uri = f"file://{str(path).replace(' ', '%20')}"
        await box.run("sh", "-c", "echo out; echo err >&2", stdout=uri, stderr=uri)
        await box.call("Wait")
    assert sorted(path.read_text().split()) == ["err", "err", "out", "out"]


@pytest.mark.parametrize("terminal", [False, True])
async def test_a_logging_program(world: World, tmp_path: Path, terminal: bool) -> None:
    program = tmp_path / "logger"
    program.write_text(LOGGER)
    program.chmod(0o755)
    box = world.bundle()
    box.config["process"]["terminal"] = terminal
    uri = f"binary://{program}?--name=a+b&flag"
    await box.run("sh", "-c", "echo out; echo err >&2", terminal=terminal, stdout=uri, stderr=uri)
    await box.call("Wait")
    await settle((tmp_path / "logger.end").exists)
    assert (tmp_path / "logger.arguments").read_text() == "--name a b flag \n"
    environment = (tmp_path / "logger.environment").read_text()
    assert f"CONTAINER_ID={box.container_id}\n" in environment
    assert "CONTAINER_NAMESPACE=tests\n" in environment
    assert "TTRPC_ADDRESS" not in environment
    out, err = (tmp_path / "logger.out").read_bytes(), (tmp_path / "logger.err").read_bytes()
    assert (out, err) == ((b"out\r\nerr\r\n", b"") if terminal else (b"out\n", b"err\n"))


async def test_a_logger_that_acknowledges_or_does_not(world: World, tmp_path: Path) -> None:
    for name, line in (("good", "echo x >&5"), ("bad", "exit 1")):
        program = tmp_path / name
        program.write_text(LOGGER.replace("exec 5>&-", f"{line}; exec 5>&-"))
        program.chmod(0o755)
    box = world.bundle()
    with pytest.raises(Exception, match="ended before it was ready"):
        await box.run("true", stdout=f"binary-v2://{tmp_path}/bad")
    box = world.bundle()
    await box.run("echo", "kept", stdout=f"binary-v2://{tmp_path}/good")
    await settle((tmp_path / "good.end").exists)
    assert (tmp_path / "good.out").read_text() == "kept\n"
    with pytest.raises(Exception, match="failed to start binary process"):
        await world.bundle().run("true", stdout="binary:///no/such/logger")


async def test_a_killed_logger_does_not_stop_the_container(world: World, tmp_path: Path) -> None:
    program = tmp_path / "logger"
    program.write_text("#!/bin/sh\necho $$ > $0.pid\nexec 5>&-\nexec sleep 1000 3<&- 4<&-\n")
    program.chmod(0o755)
    box = world.bundle()
    await box.run("sh", "-c", "sleep 0.3; seq 1 100000; exit 3", stdout=f"binary://{program}")
    os.kill(int((tmp_path / "logger.pid").read_text()), 9)
    assert (await box.call("Wait")).exit_status == 3


async def test_a_full_disk_does_not_stop_the_container(world: World, tiny_disk: Path) -> None:
    log = tiny_disk / "log"
    box = world.bundle()
    script = "seq 1 5000; sleep 1000 & trap 'seq 6001 6010; exit 5' TERM; wait"
    await box.run("sh", "-c", script, stdout=f"json-file://{log}")
    await settle(lambda: "log write failed" in (box.path / "shim.log").read_text())
    subprocess.run(["mount", "-o", "remount,size=1m", tiny_disk], check=True)
    await box.call("Kill", signal=15)
    assert (await box.call("Wait")).exit_status == 5
    # Each line is a record; what is there is the beginning and the end.
    numbers = [int(json.loads(line)["log"]) for line in log.read_bytes().splitlines()]
    assert numbers[-10:] == list(range(6001, 6011))
    kept = len(numbers) - 10
    assert numbers[:kept] == list(range(1, kept + 1))
    assert kept < 5000
    assert '"log incomplete"' in (box.path / "shim.log").read_text()


@pytest.mark.parametrize(("size", "files"), [(4096, 1), (4096, 3), (100_000, 2)])
async def test_rotation_under_load(world: World, tmp_path: Path, size: int, files: int) -> None:
    log = tmp_path / "log"
    box = world.bundle()
    uri = f"json-file://{log}?max-size={size}&max-file={files}"
    await box.run("sh", "-c", "seq 1 50000; printf 'no end'", stdout=uri, stderr=uri)
    await box.call("Wait")
    found = sorted(tmp_path.glob("log*"), key=lambda path: -int(path.suffix[1:] or 0))
    assert len(found) == files
    assert all(path.stat().st_size <= size for path in found)
    texts = [json.loads(line)["log"] for path in found for line in path.read_bytes().splitlines()]
    assert texts.pop() == "no end"
    numbers = [int(text) for text in texts]
    assert numbers == list(range(50001 - len(numbers), 50001))


async def test_a_log_is_whole_when_the_end_is_told(world: World, tmp_path: Path) -> None:
    for number in range(5):
        log = tmp_path / f"log{number}"
        box = world.bundle()
        await box.run("sh", "-c", "seq 1 3000; echo last", stdout=f"json-file://{log}")
        await box.call("Wait")
        assert json.loads(log.read_bytes().splitlines()[-1])["log"] == "last\n"


async def test_a_journal_has_every_line(world: World, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(path))
        journal.setblocking(False)
        received: list[bytes] = []

        def take() -> None:
            with contextlib.suppress(BlockingIOError):
                while True:
                    received.append(journal.recv(1 << 16))

        asyncio.get_running_loop().add_reader(journal, take)
        box = world.bundle()
        fields = quote('{"CONTAINER_NAME": "box"}')
        uri = f"journald://{path}?fields={fields}&cache={tmp_path}/copy"
        # More than the socket takes at once: the container waits, and nothing is lost.
        await box.run("sh", "-c", "seq 1 5000; echo last >&2", stdout=uri)
        assert (await box.call("Wait")).exit_status == 0
        await settle(lambda: len(received) == 5001)
        asyncio.get_running_loop().remove_reader(journal)
    lines = [dict(_FIELD.findall(each)) for each in received]
    numbers = [each[b"MESSAGE"] for each in lines if each[b"PRIORITY"] == b"6"]
    assert numbers == [b"%d" % number for number in range(1, 5001)]
    assert all(each[b"CONTAINER_NAME"] == b"box" for each in lines)
    assert (tmp_path / "copy").stat().st_size > 5000


async def test_a_slow_log_daemon_slows_the_container_down(world: World) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        box = world.bundle()
        uri = f"syslog://?network=tcp&host=127.0.0.1&port={server.getsockname()[1]}&tag=t"
        # More than all buffers between the two.
        await box.run("sh", "-c", "seq 1 300000; exit 4", stdout=uri)
        received, ended = bytearray(), asyncio.ensure_future(box.call("Wait"))
        while not received.endswith(b": 300000\n"):
            # One connection of who starts the container, one of who watches over it.
            connection, _ = await loop.sock_accept(server)
            with connection:
                connection.setblocking(False)
                before_end = ended.done()
                while chunk := await loop.sock_recv(connection, 1 << 20):
                    received += chunk
        assert (await ended).exit_status == 4
        assert not before_end
        assert received.count(b"\n") == 300_000
