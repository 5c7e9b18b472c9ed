"""Authorization plugins with the real CLI, and the known flaws of engines in asking them."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.test_tls import Remote, free_port
from tests.support import certificates
from tests.support.authz_plugin import AuthzPlugin, running_plugin
from tests.support.certificates import Certificates
from tests.support.dockerd import Dockerd, own_dockerd
from tests.support.images import BUSYBOX

_LARGEST = 4 << 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def guarded(made: Certificates) -> Iterator[tuple[Dockerd, AuthzPlugin, AuthzPlugin, int]]:
    with own_dockerd() as daemon:
        port = free_port()
        sockets = daemon.root / "run/plugins"
        first, second = AuthzPlugin("first"), AuthzPlugin("second")
        with running_plugin(sockets, first), running_plugin(sockets, second):
            daemon.configure(authorization_plugins=["first", "second", "first"])
            daemon.start("-H", f"tcp://127.0.0.1:{port}", "--tlsverify", *made.flags)
            yield daemon, first, second, port
            first.reset()
            second.reset()
            daemon.remove_all()


@pytest.fixture
def daemon(guarded: tuple[Dockerd, AuthzPlugin, AuthzPlugin, int]) -> Iterator[Dockerd]:
    own, first, second, _ = guarded
    own.remove_all()
    first.reset()
    second.reset()
    yield own
    first.reset()
    second.reset()


@pytest.fixture
def first(daemon: Dockerd, guarded: tuple[Dockerd, AuthzPlugin, AuthzPlugin, int]) -> AuthzPlugin:
    return guarded[1]


@pytest.fixture
def second(daemon: Dockerd, guarded: tuple[Dockerd, AuthzPlugin, AuthzPlugin, int]) -> AuthzPlugin:
    return guarded[2]


def deny_creation(asked: dict[str, Any]) -> dict[str, Any]:
    if asked["RequestUri"].partition("?")[0].endswith("/containers/create"):
        return {"Allow": False, "Msg": "no containers today"}
    return {"Allow": True}


def test_what_plugins_are_asked(daemon: Dockerd, first: AuthzPlugin, second: AuthzPlugin) -> None:
    daemon.docker("create", "--name", "asked", "--label", "a=b", BUSYBOX)
    (asked,) = (each for each in first.requests if "/containers/create" in each["RequestUri"])
    assert asked["RequestMethod"] == "POST"
    assert asked["RequestUri"].startswith("/v1.")
    assert asked["RequestUri"].endswith("/containers/create?name=asked")
    assert json.loads(asked["RequestBody"])["Labels"] == {"a": "b"}
    assert asked["RequestHeaders"]["Content-Type"] == "application/json"
    assert "User" not in asked
    (answered,) = (each for each in second.answers if "/containers/create" in each["RequestUri"])
    assert answered["ResponseStatusCode"] == 201
    assert "Id" in json.loads(answered["ResponseBody"])
    assert answered["ResponseHeaders"]["Content-Type"] == "application/json"
    # Each is asked once, although it is named twice.
    assert len(first.requests) == len(second.requests)


def test_denied_request(daemon: Dockerd, first: AuthzPlugin, second: AuthzPlugin) -> None:
    second.on_request = deny_creation
    message = daemon.fails("create", "--name", "denied", BUSYBOX)
    assert "authorization denied by plugin second: no containers today" in message
    status, answer = daemon.request("POST", "/containers/create", {"Image": BUSYBOX})
    assert (status, answer) == (
        403,
        {"message": "authorization denied by plugin second: no containers today"},
    )
    assert daemon.docker("ps", "-aq") == ""
    assert not any("/containers/create" in each["RequestUri"] for each in first.answers)
    # Who is denied by the first is not shown to the second.
    second.requests.clear()
    first.on_request = deny_creation
    daemon.fails("create", BUSYBOX)
    assert not any("/containers/create" in each["RequestUri"] for each in second.requests)


def test_denied_answer(daemon: Dockerd, first: AuthzPlugin) -> None:
    daemon.docker("create", "--name", "secret", BUSYBOX)
    first.on_answer = lambda asked: {
        "Allow": b"secret" not in asked.get("ResponseBody", b""),
        "Msg": "this is secret",
    }
    message = daemon.fails("ps", "-a")
    assert "authorization denied by plugin first: this is secret" in message
    assert daemon.docker("version", "-f", "{{.Server.Platform.Name}}") == "Dockyard"


def test_streams(daemon: Dockerd, first: AuthzPlugin) -> None:
    assert daemon.docker("run", "--rm", "-i", BUSYBOX, "cat", stdin=b"through") == "through"
    attached = [each for each in first.answers if "/attach" in each["RequestUri"]]
    assert [each["ResponseStatusCode"] for each in attached] == [101]
    (asked,) = (each for each in first.requests if "/attach" in each["RequestUri"])
    assert asked["RequestHeaders"]["Upgrade"] == "tcp"
    daemon.docker("run", "-d", "--name", "runs", BUSYBOX, "sh", "-c", "echo line; sleep 600")
    assert daemon.docker("exec", "-i", "runs", "cat", stdin=b"x" * 100_000) == "x" * 100_000
    with daemon.popen("logs", "-f", "runs", stdout=subprocess.PIPE) as logs:
        assert logs.stdout is not None
        assert logs.stdout.readline() == b"line\n"
        logs.terminate()
    first.on_request = lambda asked: {"Allow": "/exec" not in asked["RequestUri"], "Msg": "no exec"}
    assert "no exec" in daemon.fails("exec", "runs", "true")
    first.on_request = lambda asked: {"Allow": not asked["RequestUri"].endswith("/start")}
    status, answer = daemon.request("POST", "/containers/runs/exec", {"Cmd": ["true"]})
    assert status == 201
    assert "denied by plugin first" in str(
        daemon.request("POST", f"/exec/{answer['Id']}/start", {})
    )


def test_credentials_are_not_shown(daemon: Dockerd, first: AuthzPlugin) -> None:
    daemon.request(
        *("POST", "/v1.44/auth", {"username": "a", "password": "hush"}),
        {"X-Registry-Auth": "hush", "Authorization": "hush", "X-Registry-Config": "hush"},
    )
    assert b"hush" not in repr(first.requests).encode()
    assert first.requests[-1]["RequestUri"] == "/v1.44/auth"


def test_user_is_who_the_certificate_names(
    guarded: tuple[Dockerd, AuthzPlugin, AuthzPlugin, int], first: AuthzPlugin, made: Certificates
) -> None:
    daemon, _, _, port = guarded
    first.on_request = lambda asked: {"Allow": asked.get("User") != "bob", "Msg": "not you"}
    alice = Remote(daemon.root, port=port, identity=made.client("alice"))
    assert alice.docker("run", "--rm", "-i", BUSYBOX, "cat", stdin=b"mine") == "mine"
    assert {each["User"] for each in first.requests} == {"alice"}
    assert {each["UserAuthNMethod"] for each in first.requests} == {"TLS"}
    certificate = base64.b64decode(first.requests[0]["RequestPeerCertificates"][0]).decode()
    assert certificate.split() == (alice.identity / "cert.pem").read_text().split()
    bob = Remote(daemon.root, port=port, identity=made.client("bob"))
    assert "authorization denied by plugin first: not you" in bob.fails("ps")


def test_plugin_that_fails(daemon: Dockerd, first: AuthzPlugin) -> None:
    first.on_request = lambda _: {"Err": "the book is lost", "Allow": True}
    status, answer = daemon.request("GET", "/info")
    assert status == 500
    assert answer["message"].startswith("plugin first failed with error: ")
    assert "the book is lost" in answer["message"]
    for nonsense in ({}, {"Allow": "true"}, {"Allow": 1}):
        first.on_request = lambda _, verdict=nonsense: verdict  # type: ignore[misc]
        assert daemon.request("GET", "/info")[0] == 403


def test_plugins_of_a_reload(daemon: Dockerd, second: AuthzPlugin) -> None:
    daemon.configure(authorization_plugins=["first", "nobody"])
    daemon.reload('"error reloading configuration"')
    assert daemon.docker("info", "-f", "{{.Plugins.Authorization}}") == "[first second]"
    second.on_request = deny_creation
    daemon.configure(authorization_plugins=[])
    daemon.reload()
    daemon.docker("create", "--name", "free", BUSYBOX)
    daemon.configure(authorization_plugins=["second"])
    daemon.reload()
    daemon.fails("create", BUSYBOX)
    daemon.configure(authorization_plugins=["first", "second"])
    daemon.reload()


def test_plugin_must_be_one(daemon: Dockerd) -> None:
    other = Dockerd(daemon.root)
    words = ["--pidfile", "", "--data-root", f"{daemon.root}/other"]
    other.configure()
    try:
        refusal = other.refused(*words, "--authorization-plugin", "nobody")
        assert 'failed to validate authorization plugin: plugin "nobody" not found' in refusal
        with running_plugin(daemon.root / "run/plugins", AuthzPlugin("volumes", ["VolumeDriver"])):
            refusal = other.refused(*words, "--authorization-plugin", "volumes")
            assert "Plugin does not implement the requested driver" in refusal
    finally:
        other.configure(authorization_plugins=["first", "second"])


# -- known flaws: what is shown to a plugin must be what is carried out


def deny_privileged(asked: dict[str, Any]) -> dict[str, Any]:
    body = json.loads(asked.get("RequestBody") or b"{}")
    return {"Allow": not (body.get("HostConfig") or {}).get("Privileged"), "Msg": "privileged"}


def raw(daemon: Dockerd, head: str, body: bytes) -> bytes:
    """One request by hand; everything that is answered until the daemon closes or is silent for a moment."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(daemon.socket))
        lines = f"POST /containers/create HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n"
        connection.sendall(lines.encode() + body)
        answer = b""
        try:
            while data := connection.recv(65536):
                answer += data
        except ConnectionError:
            pass
        return answer


BODY = json.dumps({"Image": BUSYBOX, "HostConfig": {"Privileged": True}}).encode()
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n", BODY),
        ("Content-Type: application/json\r\nContent-Length: 0\r\n", BODY),
        ("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", CHUNKED),
        ("Content-Type: application/json\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n", CHUNKED),
        ("Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n", CHUNKED),
        ("Content-Type: application/json\r\nTransfer-Encoding: Chunked\r\nContent-Length: 5\r\n", CHUNKED),
        (f"Content-Type: application/json\r\nContent-Length: 0\r\nContent-Length: {len(BODY)}\r\n", BODY),
        (f"Content-Type: application/json\r\nUpgrade: tcp\r\nConnection: Upgrade\r\nContent-Length: {len(BODY)}\r\n", BODY),
        (f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(BODY)}\r\n", BODY),
        (f"Content-Type: APPLICATION/JSON\r\nContent-Length: {len(BODY)}\r\n", BODY),
        (f"Content-Type: text/plain\r\nContent-Type: application/json\r\nContent-Length: {len(BODY)}\r\n", BODY),
        (f"Content-Type: application/json\r\nContent-Type: text/plain\r\nContent-Length: {len(BODY)}\r\n", BODY),
        (f"content-type: application/json\r\nContent-Length: {len(BODY)}\r\nExpect: 100-continue\r\n", BODY),
        (f"Content-Length: {len(BODY)}\r\n", BODY),
    ],
)  # fmt: skip
def test_cve_2024_41110_body_that_the_plugin_does_not_see(
    daemon: Dockerd, first: AuthzPlugin, head: str, body: bytes
) -> None:
    """However its length is given: nothing privileged is made."""
    first.on_request = deny_privileged
    answer = raw(daemon, head, body)
    assert b" 201 " not in answer.partition(b"\r\n")[0], answer
    first.on_request = lambda _: {"Allow": True}
    assert daemon.docker("ps", "-aq") == ""


@pytest.mark.parametrize("length", [1 << 20, (1 << 20) + 1, _LARGEST, _LARGEST + 1, 6 << 20])
@pytest.mark.parametrize("chunked", [False, True])
def test_cve_2026_34040_body_too_large_to_be_shown(
    daemon: Dockerd, first: AuthzPlugin, length: int, chunked: bool
) -> None:
    """A body is shown whole, or the request is refused."""
    document = {"Image": BUSYBOX, "HostConfig": {"Privileged": True}, "Labels": {"x": ""}}
    document["Labels"]["x"] = "y" * (length - len(json.dumps(document)))  # type: ignore[index]
    body = json.dumps(document).encode()
    assert len(body) == length
    first.on_request = deny_privileged
    head = "Content-Type: application/json\r\n"
    if chunked:
        head += "Transfer-Encoding: chunked\r\n"
        sent = b"%x\r\n%s\r\n0\r\n\r\n" % (length, body)
    else:
        head += f"Content-Length: {length}\r\n"
        sent = body
    answer = raw(daemon, head, sent)
    assert b" 403 " in answer.partition(b"\r\n")[0]
    if length > _LARGEST:
        assert b"request body too large for authorization plugin" in answer
        assert not first.requests
    else:
        assert first.requests[0]["RequestBody"] == body
    first.on_request = lambda _: {"Allow": True}
    assert daemon.docker("ps", "-aq") == ""


def test_cve_2026_33997_privileges_that_are_not_compared(daemon: Dockerd) -> None:
    """No list of privileges, of any length, installs a plugin: managed plugins are not built."""
    privileges = [
        {"Name": name, "Description": "", "Value": ["host"]}
        for name in ("network", "mount", "device", "allow-all-devices", "capabilities")
    ]
    for count in range(len(privileges) + 1):
        given = privileges[:count]
        status, answer = daemon.request("POST", "/plugins/pull?remote=evil/plugin&name=evil", given)
        assert status == 501
        assert "not implemented" in answer["message"]
    assert daemon.request("GET", "/plugins") == (200, [])
    assert not os.path.exists(f"{daemon.root}/docker/plugins")
