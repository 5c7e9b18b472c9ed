"""Each field of each request: accepted, shown and in effect, or refused by its name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
from tests.support.field_rows import (
    ABSENT,
    CONFIG_ROWS,
    ENDPOINT_ROWS,
    EXEC_ROWS,
    HOST_ROWS,
    LEGACY_ROWS,
    MOUNT_ROWS,
    NETWORK_ROWS,
    SAME,
    UPDATE_ROWS,
    VOLUME_ROWS,
    Field,
)
from tests.support.stack import Stack

_UNIFIED = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
_REAL_TIME = os.path.exists("/sys/fs/cgroup/cpu/cpu.rt_runtime_us")
_NETWORK = "fields-network"
_POOLS = [{"Subnet": "10.234.18.0/24"}, {"Subnet": "fd00:234::/64"}]


@pytest.fixture
def engine(session_stack: Stack) -> Stack:
    """Shared; each test removes what it has made."""
    return session_stack


@pytest.fixture(scope="module")
def network(session_stack: Stack) -> Iterator[str]:
    """A network with both IP versions whose subnets a user chose."""
    document = {"Name": _NETWORK, "EnableIPv6": True, "IPAM": {"Config": _POOLS}}
    assert session_stack.request("POST", "/networks/create", document)[0] == 201
    yield _NETWORK
    session_stack.docker("network", "rm", _NETWORK)


@pytest.fixture(scope="module")
def box(session_stack: Stack) -> Iterator[str]:
    """A running container."""
    yield session_stack.docker("run", "-d", "--network", "none", "busybox", "sleep", "1000")
    session_stack.docker("rm", "-f", session_stack.docker("ps", "-aqn1"))


@pytest.fixture(autouse=True, scope="module")
def _nothing_left(session_stack: Stack) -> Iterator[None]:
    yield
    assert session_stack.docker("ps", "-aq") == ""
    assert session_stack.docker("volume", "ls", "-q") == ""
    assert session_stack.docker("network", "ls", "-q", "--filter", "type=custom") == ""


def placed(document: dict[str, Any], path: str, value: Any) -> None:
    """Put a value where ``Config.User`` or ``HostConfig.Memory`` says."""
    head, _, rest = path.partition(".")
    if head == "HostConfig":
        document["HostConfig"][rest] = value
    else:
        document[rest] = value


def same(wanted: Any, found: Any) -> bool:
    """Whether all that was asked for is there; more may be, in objects."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(same(value, found.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(same, wanted, found))
    return bool(wanted == found)


def shown(row: Field, document: dict[str, Any]) -> None:
    """What inspect tells of a field."""
    name = row.path.rpartition(".")[2]
    found = document.get(name, ABSENT)
    if row.shown is ABSENT:
        assert found is ABSENT or found != row.value, found
    else:
        assert same(row.value if row.shown is SAME else row.shown, found), found


@contextlib.contextmanager
def created(engine: Stack, row: Field, document: dict[str, Any]) -> Iterator[str]:
    """The container of a row; empty if that had to be refused, and was."""
    status, answer = engine.request("POST", "/containers/create", document)
    if row.refused:
        assert status == 400, answer
        assert row.refused.lower() in answer["message"].lower()
        yield ""
        return
    assert status == 201, answer
    try:
        assert row.warns in " ".join(answer["Warnings"])
        assert bool(row.warns) == bool(answer["Warnings"]), answer
        yield answer["Id"]
    finally:
        engine.request("DELETE", f"/containers/{answer['Id']}?force=1&v=1")
        # Those that have a name are nobody's.
        for mount in (document.get("HostConfig") or {}).get("Mounts") or []:
            if mount.get("Type") == "volume" and mount.get("Source"):
                engine.request("DELETE", f"/volumes/{mount['Source']}")


def printed(engine: Stack, container: str, *, terminal: bool) -> str:
    """Run it to its end; its output."""
    status, answer = engine.request("POST", f"/containers/{container}/start")
    assert status == 204, answer
    engine.request("POST", f"/containers/{container}/wait")
    _, data = engine.request("GET", f"/containers/{container}/logs?stdout=1&stderr=1")
    return plain(data, framed=not terminal)


def plain(data: Any, *, framed: bool) -> str:
    """The text of a stream; one that happens to be JSON was decoded already."""
    if not isinstance(data, bytes):
        return str(data)
    text, rest = b"" if framed else data, data if framed else b""
    while rest:
        size = int.from_bytes(rest[4:8], "big")
        text, rest = text + rest[8 : 8 + size], rest[8 + size :]
    return text.decode().replace("\r\n", "\n").strip("\n")


def base(row: Field, **host: Any) -> dict[str, Any]:
    script = row.script or "true"
    found: dict[str, Any] = {
        "Image": "busybox",
        "Cmd": None if script == "-" else ["sh", "-c", script],
        "HostConfig": {"NetworkMode": "none", **host},
    }
    if row.path.startswith(("Config.", "HostConfig.")):
        for path, value in {**row.more, row.path: row.value}.items():
            placed(found, path, value)
    return found


@pytest.mark.parametrize("row", [*CONFIG_ROWS, *HOST_ROWS, *LEGACY_ROWS, *MOUNT_ROWS], ids=str)
def test_of_containers(engine: Stack, row: Field) -> None:
    if row in LEGACY_ROWS and (_UNIFIED or ("Realtime" in row.path and _REAL_TIME)):
        pytest.skip("not on this host")
    document = base(row)
    with created(engine, row, document) as container:
        if container:
            _, found = engine.request("GET", f"/containers/{container}/json")
            shown(row, found[row.path.partition(".")[0]])
        if container and row.script:
            terminal = bool(document.get("Tty"))
            out = printed(engine, container, terminal=terminal)
            assert fnmatchcase(out, row.prints), out


@pytest.mark.parametrize("row", ENDPOINT_ROWS, ids=str)
def test_of_endpoints(engine: Stack, network: str, row: Field) -> None:
    document = base(row, NetworkMode=network)
    document["NetworkingConfig"] = {"EndpointsConfig": {network: {row.path: row.value}}}
    with created(engine, row, document) as container:
        if container:
            _, found = engine.request("GET", f"/containers/{container}/json")
            shown(row, found["NetworkSettings"]["Networks"][network])
        if container and row.script:
            out = printed(engine, container, terminal=False)
            assert fnmatchcase(out, row.prints), out


@pytest.mark.parametrize("row", NETWORK_ROWS, ids=str)
def test_of_networks(engine: Stack, row: Field) -> None:
    document = {"Name": "fields-made", **row.more, row.path: row.value}
    status, answer = engine.request("POST", "/networks/create", document)
    if row.refused:
        assert status in {400, 404, 501}, answer
        assert row.refused in answer["message"]
        return
    assert status == 201, answer
    try:
        shown(row, engine.request("GET", f"/networks/{answer['Id']}")[1])
    finally:
        assert engine.request("DELETE", f"/networks/{answer['Id']}")[0] == 204


@pytest.mark.parametrize("row", VOLUME_ROWS, ids=str)
def test_of_volumes(engine: Stack, row: Field) -> None:
    status, answer = engine.request("POST", "/volumes/create", {**row.more, row.path: row.value})
    if row.refused:
        assert status in {400, 404, 503}, answer
        assert row.refused in answer["message"]
        return
    assert status == 201, answer
    try:
        name = {"DriverOpts": "Options"}.get(row.path, row.path)
        found = engine.request("GET", f"/volumes/{answer['Name']}")[1]
        assert found[name] == row.value
    finally:
        assert engine.request("DELETE", f"/volumes/{answer['Name']}")[0] == 204


@pytest.mark.parametrize("row", EXEC_ROWS, ids=str)
def test_of_execs(engine: Stack, box: str, row: Field) -> None:
    attached = {} if row.path.startswith("Attach") else {"AttachStdout": True}
    document = {"Cmd": ["true"], **attached, **row.more, row.path: row.value}
    status, answer = engine.request("POST", f"/containers/{box}/exec", document)
    if row.refused:
        assert status == 400, answer
        assert row.refused in answer["message"]
        return
    assert status == 201, answer
    terminal = bool(document.get("Tty"))
    begin = {"Detach": False, "Tty": terminal}
    if size := document.get("ConsoleSize"):
        begin["ConsoleSize"] = size
    _, data = engine.request("POST", f"/exec/{answer['Id']}/start", begin)
    out = plain(data, framed=not terminal)
    assert fnmatchcase(out, row.prints), out


@pytest.mark.parametrize("row", UPDATE_ROWS, ids=str)
def test_of_updates(engine: Stack, row: Field) -> None:
    with created(engine, Field("", None), base(Field("", None))) as container:
        document = {**row.more, row.path: row.value}
        status, answer = engine.request("POST", f"/containers/{container}/update", document)
        if row.refused:
            assert (status, row.refused in answer["message"]) == (400, True), answer
            return
        assert status == 200, answer
        shown(row, engine.request("GET", f"/containers/{container}/json")[1]["HostConfig"])
