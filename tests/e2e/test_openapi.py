"""What the daemon answers is what its OpenAPI document says, no field less and none more."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.dockerd import Dockerd, own_dockerd
from tests.support.images import BUSYBOX
from tests.support.stack import wait_until

_TYPES = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list, "null": type(None),
}  # fmt: skip


class Document:
    """The document, and differences between it and real values."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self.whole = whole

    def answer(self, method: str, path: str, status: int) -> dict[str, Any]:
        content = self.whole["paths"][path][method.lower()]["responses"][str(status)]["content"]
        found: dict[str, Any] = content["application/json"]["schema"]
        return found

    def model(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.whole["components"]["schemas"][name]
        return found

    def problems(self, value: Any, schema: dict[str, Any], at: str = "$") -> list[str]:
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self.problems(value, self.model(name), f"{at}<{name}>")
        if "anyOf" in schema:
            tried = [self.problems(value, each, at) for each in schema["anyOf"]]
            return min(tried, key=len) if all(tried) else []
        kind = schema.get("type")
        if kind is None:
            return []
        if not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean"):
            return [f"{at}: {value!r} is no {kind}"]
        if kind == "array":
            return [
                each
                for n, one in enumerate(value)
                for each in self.problems(one, schema["items"], f"{at}[{n}]")
            ]
        return self._members(value, schema, at) if kind == "object" else []

    def _members(self, value: dict[str, Any], schema: dict[str, Any], at: str) -> list[str]:
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        found = [
            f"{at}: {name} is missing" for name in schema.get("required", []) if name not in value
        ]
        for name, one in value.items():
            if name in properties:
                found += self.problems(one, properties[name], f"{at}.{name}")
            elif others is not None:
                found += self.problems(one, others, f"{at}.{name}")
            elif properties:
                found.append(f"{at}: {name} is not documented")
        return found


@pytest.fixture(scope="module")
def daemon() -> Iterator[Dockerd]:
    with own_dockerd() as own:
        own.configure(debug=True, labels=["a=b"], registry_mirrors=["http://127.0.0.1:9"])
        own.start()
        script = "echo out; echo err >&2; sleep 600"
        own.docker("volume", "create", "--label", "a=b", "kept")
        own.docker("network", "create", "--label", "a=b", "--subnet", "10.233.99.0/24", "linked")
        own.docker(
            *(
                "run",
                "-d",
                "--name",
                "whole",
                "--network",
                "linked",
                "-p",
                "127.0.0.1::80/tcp",
                "-v",
                "kept:/kept",
            ),
            *(
                "-v",
                "/tmp:/bound:ro",
                "--tmpfs",
                "/tmp",
                "--health-cmd",
                "true",
                "--health-interval",
                "1s",
                "--memory",
                "64m",
            ),
            *(
                "--label",
                "a=b",
                "--dns",
                "10.0.0.1",
                "--cap-add",
                "NET_ADMIN",
                "--ulimit",
                "nofile=99:99",
                BUSYBOX,
            ),
            *("sh", "-c", script),
        )
        own.fails("run", "--name", "ended", BUSYBOX, "sh", "-c", "echo x > /file; exit 3", code=3)
        own.docker("create", "--name", "created", "--network", "host", BUSYBOX)
        wait_until(
            lambda: own.inspect("whole")["State"]["Health"]["Status"] == "healthy", what="health"
        )
        yield own
        own.remove_all()
        own.docker("network", "rm", "linked")


@pytest.fixture(scope="module")
def document(daemon: Dockerd) -> Document:
    status, whole = daemon.request("GET", "/openapi.json")
    assert status == 200
    return Document(whole)


READ = [
    ("/containers/json", "?all=1&size=1"),
    ("/containers/{reference}/json", "whole?size=1"),
    ("/containers/{reference}/json", "ended"),
    ("/containers/{reference}/json", "created"),
    ("/containers/{reference}/top", "whole"),
    ("/containers/{reference}/changes", "ended"),
    ("/containers/{reference}/changes", "created"),
    ("/images/json", ""),
    ("/images/{reference}/json", BUSYBOX),
    ("/images/{reference}/history", BUSYBOX),
    ("/networks", ""),
    ("/networks/{reference}", "linked"),
    ("/networks/{reference}", "bridge"),
    ("/volumes", ""),
    ("/volumes/{name}", "kept"),
    ("/version", ""),
    ("/info", ""),
    ("/system/df", ""),
    ("/plugins", ""),
    ("/debug/vars", ""),
]  # fmt: skip


@pytest.mark.parametrize(("path", "argument"), READ)
def test_answers(daemon: Dockerd, document: Document, path: str, argument: str) -> None:
    name, mark, query = argument.partition("?")
    concrete = path.replace("{reference}", name).replace("{name}", name) + mark + query
    status, value = daemon.request("GET", concrete)
    assert status == 200
    assert document.problems(value, document.answer("GET", path, 200)) == []


def test_streams(daemon: Dockerd, document: Document) -> None:
    _, stats = daemon.request("GET", "/containers/whole/stats?stream=0")
    assert document.problems(stats, document.model("Stats")) == []
    _, events = daemon.request("GET", f"/events?since=1&until={time.time()}")
    lines = [json.loads(line) for line in events.splitlines()]
    assert len(lines) > 5
    for each in lines:
        assert document.problems(each, document.model("Event")) == []


def test_changes(daemon: Dockerd, document: Document) -> None:
    def check(method: str, path: str, concrete: str, body: Any, status: int) -> Any:
        found, value = daemon.request(method, concrete, body)
        assert found == status, value
        assert document.problems(value, document.answer(method, path, status)) == []
        return value

    check("POST", "/containers/create", "/containers/create?name=one", {"Image": BUSYBOX}, 201)
    check(
        "POST",
        "/containers/{reference}/update",
        "/containers/one/update",
        {"Memory": 1 << 26, "MemorySwap": -1},
        200,
    )
    check("POST", "/containers/{reference}/wait", "/containers/ended/wait", None, 200)
    made = check(
        "POST", "/containers/{reference}/exec", "/containers/whole/exec", {"Cmd": ["true"]}, 201
    )
    check("GET", "/exec/{exec_id}/json", f"/exec/{made['Id']}/json", None, 200)
    check("POST", "/commit", "/commit?container=ended&repo=committed", {}, 201)
    check("DELETE", "/images/{reference}", "/images/committed", None, 200)
    check("POST", "/volumes/create", "/volumes/create", {"Name": "two", "Labels": {"a": "b"}}, 201)
    check(
        "POST",
        "/volumes/prune",
        "/volumes/prune?filters=%7B%22all%22%3A%5B%22true%22%5D%7D",
        None,
        200,
    )
    check(
        "POST", "/networks/create", "/networks/create", {"Name": "two", "Labels": {"a": "b"}}, 201
    )
    filters = "?filters=%7B%22label%22%3A%5B%22nobody%22%5D%7D"
    for kind in ("containers", "images", "networks"):
        check("POST", f"/{kind}/prune", f"/{kind}/prune{filters}", None, 200)
    check("POST", "/networks/prune", "/networks/prune", None, 200)
    check("POST", "/build/prune", "/build/prune", None, 200)


def test_failures(daemon: Dockerd, document: Document) -> None:
    for method, path, body in (
        ("GET", "/containers/nobody/json", None),
        ("POST", "/containers/create", {"Image": 7}),
        ("POST", "/containers/create", b"{"),
        ("GET", "/containers/json?filters=x", None),
        ("POST", "/swarm/init", {}),
        ("GET", "/nodes", None),
        ("GET", "/nowhere", None),
        ("GET", "/v9.9/info", None),
    ):
        status, value = daemon.request(method, path, body)
        assert status >= 400
        assert document.problems(value, document.model("ErrorResponse")) == []
