"""`attach` over a WebSocket, with a client that we did not write."""

from __future__ import annotations

import os

import pytest
from tests.support.stack import Stack, wait_until
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidStatus
from websockets.sync.client import ClientConnection, unix_connect

ALL = "stream=1&stdin=1&stdout=1&stderr=1"


def connect(stack: Stack, name: str, query: str = ALL, version: str = "v1.51") -> ClientConnection:
    uri = f"ws://localhost/{version}/containers/{name}/attach/ws?{query}"
    return unix_connect(str(stack.socket), uri, max_size=None, max_queue=None, compression=None)


def everything(client: ClientConnection) -> bytes:
    """All messages until the server says goodbye."""
    found = b""
    try:
        while True:
            message = client.recv(timeout=20)
            assert isinstance(message, bytes)
            found += message
    except ConnectionClosedOK:
        return found


def test_both_ways(stack: Stack) -> None:
    name = stack.docker("create", "-i", "busybox", "cat")
    with connect(stack, name) as client:
        stack.docker("start", name)
        client.send(b"first ")
        client.send("second")
        client.send([b" in", b" pieces"])
        found = b""
        while not found.endswith(b"pieces"):
            message = client.recv(timeout=20)
            assert isinstance(message, bytes)
            found += message
        assert found == b"first second in pieces"
        client.ping().wait(10)
        stack.docker("stop", "-t", "0", name)
        assert everything(client) == b""


def test_goodbye_ends_the_input(stack: Stack) -> None:
    # More than the pipe takes before the container reads.
    script = "sleep 0.3; wc -c; exit 7"
    name = stack.docker("create", "-i", "busybox", "sh", "-c", script)
    big = os.urandom(3 << 20)
    with connect(stack, name) as client:
        stack.docker("start", name)
        client.send(big)
    assert stack.docker("wait", name) == "7"
    assert stack.docker("logs", name) == str(len(big))


def test_streams_are_chosen_and_logs_come_first(stack: Stack) -> None:
    script = "echo out; echo err >&2; read line; echo $line"
    name = stack.docker("run", "-d", "-i", "busybox", "sh", "-c", script)
    wait_until(lambda: "err" in stack.call("logs", name).err)
    with connect(stack, name, "logs=1&stdout=1") as client:
        assert everything(client) == b"out\n"
    with connect(stack, name, "logs=1&stderr=1") as client:
        assert everything(client) == b"err\n"
    with connect(stack, name, "stream=1&stdin=1&stdout=1&logs=1") as client:
        assert client.recv(timeout=20) == b"out\n"
        client.send(b"third\n")
        assert everything(client) == b"third\n"


def test_big_output_and_a_terminal(stack: Stack) -> None:
    script = "head -c 5000000 /dev/zero; echo done"
    name = stack.docker("create", "-t", "busybox", "sh", "-c", script)
    with connect(stack, name) as client:
        stack.docker("start", name)
        found = everything(client)
        assert (len(found), found[-20:]) == (5_000_006, bytes(14) + b"done\r\n")


def test_old_clients_have_all_streams_as_text(stack: Stack) -> None:
    name = stack.docker("create", "busybox", "echo", "hello")
    with connect(stack, name, "stream=1", "v1.27") as client:
        stack.docker("start", name)
        assert client.recv(timeout=20) == "hello\n"


def test_detach_keys(stack: Stack) -> None:
    name = stack.docker("run", "-d", "-it", "busybox", "cat")
    with connect(stack, name, f"{ALL}&detachKeys=ctrl-x,x") as client:
        client.send(b"\x18x")
        everything(client)
    assert stack.inspect(name)["State"]["Running"]


@pytest.mark.parametrize(
    ("name", "status"), [("nobody", 404), ("paused", 409)]
)  # fmt: skip
def test_refusals_are_answers_of_http(stack: Stack, name: str, status: int) -> None:
    stack.docker("run", "-d", "--name", "paused", "busybox", "sleep", "99")
    stack.docker("pause", "paused")
    with pytest.raises(InvalidStatus) as refused:
        connect(stack, name)
    assert refused.value.response.status_code == status
    assert b"message" in refused.value.response.body
    stack.docker("unpause", "paused")
    found, answer = stack.request("GET", "/containers/paused/attach/ws")
    assert (found, answer["message"]) == (400, "not websocket protocol")


def test_nonsense_ends_the_connection_alone(stack: Stack) -> None:
    name = stack.docker("run", "-d", "-i", "busybox", "cat")
    with connect(stack, name) as client:
        client.socket.sendall(b"\x82\x01x")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(timeout=20)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1002
    assert stack.inspect(name)["State"]["Running"]
