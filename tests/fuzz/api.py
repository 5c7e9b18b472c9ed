"""A schema-driven fuzz of the Engine API: schemathesis on our OpenAPI document, against a stack of its own.

`make fuzz-api` runs it for five minutes. It fails for a status of 5xx but 501 and 503 (and 500 for a registry that cannot be
reached, which is Docker's answer), for an answer that the document does not describe, a request that is not answered in time,
a daemon that died or grew, and for whatever a removed stack leaves behind.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from tests.support.images import BUSYBOX
from tests.support.stack import Stack, running_stack, wait_until

from dockerd import app
from dockerd.api.underway import UnderWay
from dockerd.config import LiveConfig
from dockerd.configuration.command_line import CommandLine
from dockerd.configuration.load import load

_CHECKS = "no_failure_of_ours,not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
_PATIENCE = 30
_GROWTH = 64 << 20
# What never ends by itself is asked for its end.
_ENDS = {
    "/events": {"until": "1"},
    "/containers/{reference}/stats": {"stream": "false"},
    "/containers/{reference}/logs": {"follow": "false"},
    "/containers/{reference}/attach": {"stream": "false"},
    "/containers/{reference}/attach/ws": {"stream": "false"},
    "/containers/{reference}/stop": {"t": "0"},
    "/containers/{reference}/restart": {"t": "0"},
}  # fmt: skip
_NAMES = {
    "/containers/": "fuzzed",
    "/networks/": "fuzzed",
    "/images/": BUSYBOX,
    "/volumes/": "fuzzed",
}
# With a name that exists these never end, or take from the next what it is about.
_SPARED = ("/containers/{reference}/wait", "/containers/{reference}/rename")
# These ask registries, of which most cannot be reached; hooks.py looks at what they say.
_REMOTE = ("/images/create", "/images/search", "/auth", "/distribution/{reference}/json")


def document() -> dict[str, Any]:
    """What `/openapi.json` answers, without the debug paths, which exist with `--debug` alone."""
    live = LiveConfig(load(CommandLine(config_file=""), {}))
    none = cast("Any", None)
    whole: dict[str, Any] = app.create(none, live, UnderWay(), none, None).openapi()
    whole["paths"] = {
        path: each for path, each in whole["paths"].items() if not path.startswith("/debug")
    }
    return whole


def settings(document: dict[str, Any], names: dict[str, str]) -> str:
    """schemathesis.toml; ``names`` are those of things that exist, by the beginning of paths."""
    lines = [
        "[checks]",
        'not_a_server_error = { expected-statuses = ["2xx", "3xx", "4xx", "501", "503"] }',
    ]
    for path in document["paths"]:
        given = dict(_ENDS.get(path, {}))
        name = next(
            (each for start, each in names.items() if path.startswith(start) and "{" in path), ""
        )
        if name:
            given[path.partition("{")[2].partition("}")[0]] = name
        if names and path in _SPARED:
            lines += ["[[operations]]", f"include-path = {json.dumps(path)}", "enabled = false"]
        elif path in _REMOTE:
            expected = 'expected-statuses = ["2xx", "3xx", "4xx", "500", "501", "503"]'
            lines += [
                "[[operations]]",
                f"include-path = {json.dumps(path)}",
                f"checks = {{ not_a_server_error = {{ {expected} }} }}",
            ]
        elif given:
            inner = ", ".join(
                f"{json.dumps(key)} = {json.dumps(value)}" for key, value in given.items()
            )
            lines += [
                "[[operations]]",
                f"include-path = {json.dumps(path)}",
                f"parameters = {{ {inner} }}",
            ]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def reachable(path: Path) -> Iterator[str]:
    """The address on loopback that leads to a Unix socket: the tester knows TCP alone."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner = await asyncio.open_unix_connection(str(path))
        await asyncio.gather(carry(reader, inner[1]), carry(inner[0], writer))

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    started = asyncio.run_coroutine_threadsafe(asyncio.start_server(serve, "127.0.0.1", 0), loop)
    server = started.result(10)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def prepare(stack: Stack) -> dict[str, str]:
    """Things that exist, made again when the fuzz has removed them; their names, by the beginning of paths."""
    stack.call("network", "create", "fuzzed")
    stack.call("volume", "create", "fuzzed")
    stack.call(
        "run",
        "-d",
        "--name",
        "fuzzed",
        "-v",
        "fuzzed:/kept",
        "--network",
        "fuzzed",
        BUSYBOX,
        "sleep",
        "3600",
    )
    made = stack.request("POST", "/containers/fuzzed/exec", {"Cmd": ["ls"], "AttachStdout": True})
    return {**_NAMES, "/exec/": made[1]["Id"] if made[0] == 201 else "fuzzed"}


def resident(stack: Stack) -> int:
    """Bytes that dockerd has in memory."""
    with open(f"/proc/{stack.pid('dockerd')}/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS:"))


def descriptors(stack: Stack) -> int:
    """How many files dockerd has open."""
    return len(list(Path(f"/proc/{stack.pid('dockerd')}/fd").iterdir()))


def fuzz(
    tester: str, url: str, folder: Path, seconds: int, *, names: dict[str, str], seed: str
) -> int:
    """One run; its exit status."""
    whole = document()
    (folder / "openapi.json").write_text(json.dumps(whole))
    (folder / "schemathesis.toml").write_text(settings(whole, names))
    words = [
        *(
            str(Path(tester).absolute()),
            "--config-file",
            str(folder / "schemathesis.toml"),
            "run",
            str(folder / "openapi.json"),
        ),
        *(
            "--url",
            url,
            "--max-time",
            str(seconds),
            "--checks",
            _CHECKS,
            "--request-timeout",
            str(_PATIENCE),
        ),
        *(
            "--phases",
            "coverage,fuzzing,stateful",
            "--mode",
            "all",
            "--continue-on-failure",
            "--no-color",
            "--warnings",
            "off",
        ),
        *(["--seed", seed] if seed else []),
    ]
    shutil.copy(Path(__file__).with_name("hooks.py"), folder / "fuzz_hooks.py")
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "fuzz_hooks", "PYTHONPATH": str(folder)}
    return subprocess.run(words, cwd=folder, timeout=seconds + 300, env=environment).returncode


def main(arguments: list[str]) -> int:
    """Fuzz; the exit status."""
    parser = argparse.ArgumentParser(prog="tests.fuzz.api")
    parser.add_argument("tester", help="the schemathesis program")
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--seed", default="")
    given = parser.parse_args(arguments)
    root = Path(tempfile.mkdtemp(prefix="dockyard-fuzz-"))
    folder = Path(tempfile.mkdtemp(prefix="dockyard-fuzzer-"))
    codes = []
    try:
        with running_stack(root) as stack, reachable(stack.socket) as url:
            prepare(stack)
            before, pid, files = resident(stack), stack.pid("dockerd"), descriptors(stack)
            for named in (False, True):
                names = prepare(stack)
                half = given.seconds // 2
                codes.append(
                    fuzz(
                        given.tester,
                        url,
                        folder,
                        half,
                        names=names if named else {},
                        seed=given.seed,
                    )
                )
            assert stack.pid("dockerd") == pid, "dockerd died"
            assert stack.request("GET", "/_ping")[0] == 200
            wait_until(lambda: descriptors(stack) <= files + 16, what="descriptors to be closed")
            grown = resident(stack) - before
            assert grown < _GROWTH, f"dockerd grew by {grown} bytes"
            made = len(stack.docker("ps", "-aq").split())
            stack.remove_all()
            stack.call("network", "prune", "-f")
            stack.call("volume", "prune", "-af")
            print(
                f"exit statuses {codes}; {made} containers were left; dockerd grew by {grown >> 10} KiB"
            )
    finally:
        shutil.rmtree(root, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
