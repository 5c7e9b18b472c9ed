"""What clients trust the daemon with is in no log and in no trace, however much is logged."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from tests.support.collector import Collector, collecting
from tests.support.dockerd import Dockerd, own_dockerd
from tests.support.images import BUSYBOX

_SECRET = "hush-4711-hush"
_ENCODED = base64.b64encode(_SECRET.encode()).decode().rstrip("=")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture
def daemon(collector: Collector) -> Iterator[Dockerd]:
    with own_dockerd() as own:
        own.environment_more = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "HTTP_PROXY": f"http://proxy:{_SECRET}@192.0.2.1:1",
            "NO_PROXY": "127.0.0.1,localhost",
        }
        own.configure(debug=True)
        own.start("-l", "debug")
        yield own


def _encoded(document: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def test_cve_2019_13509_secrets_are_in_no_log_and_no_trace(
    daemon: Dockerd, collector: Collector
) -> None:
    auth = {"username": "me", "password": _SECRET, "serveraddress": "127.0.0.1:1"}
    header = {
        "X-Registry-Auth": _encoded(auth),
        "X-Registry-Config": _encoded({"127.0.0.1:1": "x"}),
    }
    body = {"Image": BUSYBOX, "Env": [f"PASSWORD={_SECRET}"], "Cmd": ["sleep", "99"]}
    status, made = daemon.request("POST", "/containers/create?name=keeper", body)
    assert status == 201
    daemon.docker("start", "keeper")
    assert daemon.docker("exec", "keeper", "sh", "-c", "echo $PASSWORD") == _SECRET
    assert (
        daemon.docker("exec", "-e", f"MORE={_SECRET}", "keeper", "sh", "-c", "echo $MORE")
        == _SECRET
    )
    assert daemon.docker("exec", "-i", "keeper", "cat", stdin=_SECRET.encode()) == _SECRET
    # Each of these fails, and failures are logged.
    failing = (
        ("POST", "/auth", auth),
        ("POST", "/v1.40/auth", {**auth, "serveraddress": f"me:{_SECRET}@127.0.0.1:1"}),
        ("POST", "/images/create?fromImage=127.0.0.1:1/a&tag=b", None),
        ("POST", "/images/127.0.0.1:1/a/push?tag=b", None),
        ("GET", "/distribution/127.0.0.1:1/a/json", None),
        ("POST", f"/images/create?fromSrc=http://me:{_SECRET}@127.0.0.1:1/x.tar", None),
        ("POST", f"/images/create?repo=x&FromSrc=http%3A%2F%2Fme%3A{_SECRET}%40127.0.0.1%3A1", None),
        ("POST", f"/images/create?fromSrc=-&changes=ENV%20A%3D{_SECRET}&changes=ENV%20B%3D{_SECRET}", b"no archive"),
        ("POST", f"/commit?container=nobody&changes=ENV%20A%3D{_SECRET}", {"Env": [_SECRET]}),
        ("POST", f"/build?buildargs=%7B%22A%22%3A%22{_SECRET}%22%7D&remote=https://me:{_SECRET}@192.0.2.1/x.git", None),
        ("POST", "/containers/create", {**body, "Image": "nothing-of-this-name"}),
        ("POST", "/containers/create", {**body, "Env": [f"X={_SECRET}", 1]}),
        ("POST", "/containers/create", f'{{"Env": ["{_SECRET}"'.encode()),
        ("POST", f"/containers/{made['Id']}/exec", {"Cmd": ["true"], "Env": [f"Y={_SECRET}"], "User": "nobody-here"}),
        ("POST", "/secrets/create", {"Name": "s", "Data": _ENCODED, "Labels": {"x": _SECRET}}),
        ("POST", "/configs/create", {"Name": "c", "Data": _ENCODED}),
        ("POST", "/services/create", {"TaskTemplate": {"ContainerSpec": {"Env": [_SECRET], "Secrets": [{"x": _SECRET}]}}}),
        ("POST", "/swarm/unlock", {"UnlockKey": _SECRET}),
        ("POST", "/swarm/join", {"JoinToken": _SECRET, "RemoteAddrs": ["127.0.0.1:1"]}),
    )  # fmt: skip
    for method, path, given in failing:
        daemon.request(method, path, given, header)
    options = {"type": "cifs", "device": "//127.0.0.1/x", "o": f"username=me,password={_SECRET}"}
    status, _ = daemon.request("POST", "/volumes/create", {"Name": "shared", "DriverOpts": options})
    assert status == 201
    daemon.fails("run", "--rm", "-v", "shared:/x", BUSYBOX, "true", code=125)
    daemon.docker("volume", "rm", "shared")
    daemon.reload()
    assert _SECRET not in daemon.docker("info", "-f", "{{.HTTPProxy}}")
    events = daemon.docker("events", "--since", "1h", "--until", "0s")
    daemon.remove_all()
    daemon.docker("run", "--rm", "-e", f"LAST={_SECRET}", BUSYBOX, "true")
    spans = collector.wait(lambda seen: sum("create" in each.name for each in seen) > 1)
    daemon.stop()
    assert len(spans) > 50
    for what in (_SECRET, _ENCODED):
        assert what not in repr(spans)
        assert what not in events
        for name in ("log", "containerd/log"):
            assert what not in (daemon.root / name).read_text(errors="replace"), name
    assert "PASSWORD" not in daemon.log
