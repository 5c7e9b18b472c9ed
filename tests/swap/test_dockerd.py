"""Debian's dockerd on our containerd: with our shim, and with the original one."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.support.debian import Surroundings, original, surroundings
from tests.support.images import BUSYBOX, busybox_layer, docker_archive
from tests.support.stack import BIN, wait_until
from tests.swap.conftest import Containerd, Engine, check_run_logs_exec_stop, terminate

from dockerd.logdrivers import reading
from dockerd.logdrivers.entry import Entry
from dockerd.logdrivers.localfile import LocalFile
from shim.stdio.lines import LONGEST

SHIM = "containerd-shim-runc-v2"
pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]


class OurContainerd(Containerd):
    """Ours; dockerd's io.containerd.runc.v2 runs what is in its PATH."""

    def __init__(self, inside: Surroundings, shim: str) -> None:
        super().__init__(inside)
        self.shim = shim
        # A PATH of its own, so that the original shim is there or not; dockerd's default runtime is runc.
        folder = inside.root / "bin"
        folder.mkdir()
        programs = ["readlink", "dirname", "runc"] + ([SHIM] if shim == "original" else [])
        for each in programs:
            (folder / each).symlink_to(original(each))
        self._path = f"{BIN}:{folder}"

    def start(self) -> None:
        self.launch(BIN / "containerd", PATH=self._path)


@pytest.fixture(scope="module", params=["original", "ours"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Engine, OurContainerd]]:
    program = original("dockerd")
    with surroundings("swap-d") as inside:
        containerd = OurContainerd(inside, request.param)
        containerd.start()
        config = inside.root / "daemon.json"
        config.write_text("{}")
        engine = Engine(inside, program, "--config-file", config, "--live-restore")
        engine.start()
        archive = docker_archive(BUSYBOX, [busybox_layer()])
        engine("load", stdin=archive)
        yield engine, containerd
        engine.clear()
        assert containerd.ctr("containers", "ls", "-q") == ""


def test_run_logs_exec_stop(engine: Engine) -> None:
    check_run_logs_exec_stop(engine)


def test_bridge_and_shim(engine: Engine, containerd: OurContainerd) -> None:
    engine("run", "-d", "--name", "server", BUSYBOX, "httpd", "-f", "-h", "/data")
    originals = [each for each in engine.inside.processes().values() if SHIM in each]
    assert bool(originals) == (containerd.shim == "original")
    address = engine.inspect("server")["NetworkSettings"]["IPAddress"]
    fetched = engine("run", "--rm", BUSYBOX, "wget", "-qO-", f"http://{address}/seed")
    assert fetched == "from the image"
    engine("rm", "-f", "server")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_live_restore_keeps_containers(engine: Engine, number: signal.Signals) -> None:
    script = "i=0; trap 'exit 5' TERM; while :; do i=$((i+1)); echo $i; sleep 0.2; done"
    engine("run", "-d", "--name", "kept", BUSYBOX, "sh", "-c", script)
    pid = engine.pid("kept")
    engine.restart(number)
    assert engine.pid("kept") == pid
    assert engine("exec", "kept", "echo", "in") == "in"
    before = len(engine("logs", "kept").splitlines())
    wait_until(lambda: len(engine("logs", "kept").splitlines()) > before)
    engine("stop", "kept")
    assert engine.inspect("kept")["State"]["ExitCode"] == 5
    engine("rm", "kept")


def test_each_reads_the_others_logs(engine: Engine) -> None:
    """The driver `local`, plain and compressed, written by either and read by the other."""
    options = ("--log-driver", "local", "--log-opt", "max-size=20k", "--log-opt", "max-file=9")
    # Without an end of line after the long line, which Docker 20.10 does not show (later ones do).
    script = "seq 1 3000; head -c 40000 /dev/zero | tr '\\0' x"
    engine("run", "--name", "theirs", *options, BUSYBOX, "sh", "-c", script)
    folder = engine.inside.root / "docker/containers" / engine.inspect("theirs")["Id"]
    path = folder / "local-logs/container.log"
    wanted = [b"%d\n" % number for number in range(1, 3001)] + [b"x" * 40000]

    def ours() -> bytes:
        async def read() -> list[Entry]:
            batches = reading.read(str(path), LocalFile(), None)
            return [entry async for batch in batches for entry in batch]

        return b"".join(text for _, text, _, _ in asyncio.run(read()))

    wait_until(lambda: list(path.parent.glob("*.gz")) and not list(path.parent.glob("*.1")))
    assert ours() == engine.call("logs", "theirs").out.encode() == b"".join(wanted)
    for each in path.parent.iterdir():
        each.unlink()
    # In a process of its own, because it forks.
    program = (
        "import sys; from shim.stdio.localfile import LocalFile as L;"
        "log = L(sys.argv[1], 20000, 9, compress=True, attributes={'a': 'b'});"
        "log.write('stdout', sys.stdin.buffer.read()); log.finish('stdout'); log._wait_for_compression()"
    )
    text = b"".join(wanted)
    subprocess.run([sys.executable, "-c", program, path], input=text, check=True, timeout=30)
    wait_until(lambda: not list(path.parent.glob("*.tmp")))
    assert list(path.parent.glob("*.gz"))
    assert engine("logs", "theirs").encode() == text
    assert engine("logs", "-n", "1", "theirs") == "x" * (40000 - 2 * LONGEST)
    engine("rm", "theirs")


def test_an_end_while_dockerd_is_away(engine: Engine) -> None:
    pid = engine.listener("gone", 6)
    engine.inside.end("dockerd")
    terminate(pid)
    engine.start()
    wait_until(lambda: not engine.inspect("gone")["State"]["Running"])
    assert engine.inspect("gone")["State"]["ExitCode"] == 6
    engine("rm", "gone")


def test_containers_survive_a_killed_containerd(engine: Engine, containerd: Containerd) -> None:
    pid, ends = engine.listener("kept", 4), engine.listener("ends", 8)
    containerd.kill()
    terminate(ends)
    containerd.start()
    assert engine.pid("kept") == pid
    wait_until(lambda: engine.call("exec", "kept", "echo", "in").out == "in\n")
    engine("stop", "kept")
    assert engine.inspect("kept")["State"]["ExitCode"] == 4
    wait_until(lambda: not engine.inspect("ends")["State"]["Running"])
    assert engine.inspect("ends")["State"]["ExitCode"] == 8
    assert engine("run", "--rm", BUSYBOX, "echo", "after") == "after"
    engine("rm", "kept", "ends")
