"""Bad input: the status and the words that users of Docker know, and a daemon that goes on."""

from __future__ import annotations

import base64
import socket
from typing import Any

import pytest
from tests.support.stack import Stack


@pytest.fixture(autouse=True)
def _unharmed(stack: Stack) -> Any:
    before = stack.pid("dockerd")
    yield
    assert stack.pid("dockerd") == before
    assert stack.docker("ps", "-aq") == ""


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/containers/create", b"{", 400, "invalid JSON"),
        ("POST", "/containers/create", b"", 400, "EOF"),
        ("POST", "/containers/create", {"Image": "nope:1"}, 404, "No such image: nope:1"),
        ("POST", "/containers/create", {"Image": "UPPER"}, 400, "invalid reference format"),
        ("POST", "/containers/create", {"Image": ""}, 400, "no command specified"),
        (
            "POST",
            "/containers/create?name=a/b",
            {"Image": "busybox"},
            400,
            "Invalid container name (a/b)",
        ),
        (
            "POST",
            "/containers/create",
            {"Image": "busybox", "HostConfig": {"Runtime": "nope"}},
            400,
            "unknown or invalid runtime name: nope",
        ),
        ("GET", "/containers/nope/json", None, 404, "No such container: nope"),
        ("POST", "/containers/nope/start", None, 404, "No such container: nope"),
        ("GET", "/images/nope/json", None, 404, "No such image: nope:latest"),
        ("GET", "/volumes/nope", None, 404, "get nope: no such volume"),
        ("GET", "/networks/nope", None, 404, "network nope not found"),
        ("GET", "/exec/nope/json", None, 404, "No such exec instance: nope"),
        ("GET", "/v1.10/info", None, 400, "client version 1.10 is too old"),
        ("GET", "/v1.99/info", None, 400, "client version 1.99 is too new"),
        ("GET", "/nonsense", None, 404, "page not found"),
        ("GET", "/containers/json?filters=x", None, 400, "invalid filter"),
        ("POST", "/build", b"", 501, "not implemented"),
    ],
)
def test_status_and_words(
    stack: Stack, method: str, path: str, body: Any, status: int, message: str
) -> None:
    found, answer = stack.request(method, path, body)
    assert found == status, answer
    assert message in answer["message"]


def test_name_in_use(stack: Stack) -> None:
    first = stack.docker("create", "--name", "taken", "busybox")
    status, answer = stack.request("POST", "/containers/create?name=taken", {"Image": "busybox"})
    assert status == 409
    assert answer["message"] == (
        f'Conflict. The container name "/taken" is already in use by container "{first}".'
        " You have to remove (or rename) that container to be able to reuse that name."
    )
    stack.docker("rm", "taken")


def test_oversized_header(stack: Stack) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(stack.socket))
        connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\nX-Long: ")
        connection.sendall(b"x" * (1 << 20))
        assert b" 431 " in connection.recv(4096)


def test_an_answer_before_the_body_has_come(stack: Stack) -> None:
    """The rest of the body belongs to the answered request, whatever it looks like."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(stack.socket))
        smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
        rest = smuggled + b"x" * (2 << 20)
        length = len(rest) + 1
        connection.sendall(
            b"POST /containers/none/rename?name=a HTTP/1.1\r\nHost: x\r\n"
            b"Content-Length: %d\r\n\r\nx" % length
        )
        refusal = b""
        while not refusal.endswith(b"}\n"):
            refusal += connection.recv(65536)
        assert refusal.startswith(b"HTTP/1.1 404 ")
        connection.sendall(rest)
        connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(b"\r\n\r\nOK")
        assert answer.count(b"HTTP/1.1 ") == 1


def test_null_is_no_body(stack: Stack) -> None:
    """The CLI of Docker 20.10 commits with it."""
    container = stack.docker("create", "busybox")
    status, answer = stack.request("POST", f"/commit?container={container}", b"null")
    assert status == 201
    stack.docker("rmi", answer["Id"])
    assert stack.request("POST", f"/commit?container={container}", b"[]")[0] == 400
    stack.docker("rm", container)


@pytest.mark.parametrize(
    "data", [b"\0\1\2\3\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\r\n", b"A" * 5000]
)
def test_what_is_not_http(stack: Stack, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(stack.socket))
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(4096)
    assert answer == b"" or b" 400 " in answer


def test_ping_and_version(stack: Stack) -> None:
    assert stack.request("GET", "/_ping") == (200, b"OK")
    status, version = stack.request("GET", "/version")
    assert status == 200
    assert version["ApiVersion"] == "1.51"
    assert version["MinAPIVersion"] == "1.24"
    assert {each["Name"] for each in version["Components"]} >= {"Engine", "containerd"}


@pytest.mark.parametrize("value", [1, -1, 1.5, True, "x", "\0", [1], [None], [{}], {"a": 1}])
@pytest.mark.parametrize(
    ("path", "field", "rest"),
    [
        *(("/containers/create", field, {"Image": "busybox"}) for field in ("HostConfig", "NetworkingConfig", "Env")),
        *(("/networks/create", field, {"Name": "odd"}) for field in ("IPAM", "Driver", "Options", "Labels")),
        *(("/volumes/create", field, {}) for field in ("Name", "Driver", "DriverOpts", "Labels")),
        ("/networks/bridge/connect", "EndpointConfig", {"Container": "nobody"}),
    ],
)  # fmt: skip
def test_no_type_is_too_odd(
    stack: Stack, path: str, field: str, rest: dict[str, Any], value: Any
) -> None:
    status, answer = stack.request("POST", path, {**rest, field: value})
    assert status < 500 or status == 501, answer
    stack.remove_all()
    stack.request("DELETE", "/networks/odd")
    for volume in stack.docker("volume", "ls", "-q").split():
        stack.docker("volume", "rm", volume)


def test_halves_of_surrogate_pairs_hide_nothing(stack: Stack) -> None:
    """JSON may have them, UTF-8 may not: they are replaced, as Go does, and lists go on being shown."""
    odd = rb'{"Image": "busybox", "Name": "odd", "Labels": {"half": "\ud800"}, "Cmd": ["sleep", "\udfff9"]}'
    assert stack.request("POST", "/containers/create?name=odd", odd)[0] == 201
    assert stack.request("POST", "/networks/create", odd)[0] == 201
    try:
        shown = stack.request("GET", "/containers/odd/json")[1]["Config"]
        assert (shown["Labels"]["half"], shown["Cmd"][1]) == ("\ufffd", "\ufffd9")
        (listed,) = stack.request("GET", "/containers/json?all=1")[1]
        assert listed["Labels"]["half"] == "\ufffd"
        networks = stack.request("GET", "/networks")[1]
        assert {"half": "\ufffd"} in [each["Labels"] for each in networks]
        events = stack.request("GET", "/events?since=1&until=1")
        assert events[0] == 200
    finally:
        stack.remove_all()
        stack.request("DELETE", "/networks/odd")


@pytest.mark.parametrize("body", [b'{"a":' + b"[" * 100_000, b'{"a": NaN}', b'{"a": 1e999}'])
def test_what_only_python_takes_for_json_is_refused(stack: Stack, body: bytes) -> None:
    status, answer = stack.request("POST", "/containers/create", body)
    assert (status, answer["message"][:12]) == (400, "invalid JSON")


@pytest.mark.parametrize("document", [b"[]", b"1", b'{"username": 1}', b"\xff"])
def test_odd_credentials_are_refused(stack: Stack, document: bytes) -> None:
    headers = {"X-Registry-Auth": base64.urlsafe_b64encode(document).decode()}
    status, answer = stack.request("POST", "/images/create?fromImage=nope", None, headers)
    assert (status, answer["message"]) == (400, "invalid X-Registry-Auth header")
