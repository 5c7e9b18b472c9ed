"""`--metrics-addr` and `--debug`: figures for Prometheus, and the daemon's inside for who asks for it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.test_tls import free_port
from tests.support.dockerd import Dockerd, own_dockerd
from tests.support.images import BUSYBOX
from tests.support.stack import wait_until


@dataclass
class Measured:
    daemon: Dockerd
    address: str

    def read(self) -> dict[tuple[str, str], float]:
        """Values by name and, of those with one, by label."""
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=20) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            text = answer.read().decode()
        return {
            (
                sample.name,
                sample.labels.get("version") or next(iter(sample.labels.values()), ""),
            ): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if "le" not in sample.labels
        }


@pytest.fixture(scope="module")
def measured() -> Iterator[Measured]:
    with own_dockerd() as daemon:
        address = f"127.0.0.1:{free_port()}"
        daemon.start("--metrics-addr", address)
        yield Measured(daemon, address)
        daemon.remove_all()


def test_container_states_and_actions(measured: Measured) -> None:
    daemon = measured.daemon
    states, actions = (
        "engine_daemon_container_states_containers",
        "engine_daemon_container_actions_seconds_count",
    )
    before = measured.read()
    assert [before[states, each] for each in ("running", "paused", "stopped")] == [0, 0, 0]
    daemon.docker("run", "-d", "--name", "runs", BUSYBOX, "sleep", "600")
    daemon.docker("run", "-d", "--name", "paused", BUSYBOX, "sleep", "600")
    daemon.docker("pause", "paused")
    daemon.docker("create", "--name", "created", BUSYBOX)
    daemon.docker("diff", "runs")
    after = measured.read()
    assert [after[states, each] for each in ("running", "paused", "stopped")] == [1, 1, 1]
    grown = {
        name: after[actions, name] - before[actions, name]
        for name in ("create", "start", "changes", "commit", "delete")
    }
    assert grown == {"create": 3, "start": 2, "changes": 1, "commit": 0, "delete": 0}
    daemon.docker("rm", "-f", "runs", "paused", "created")
    daemon.fails("rm", "nobody")
    assert measured.read()[actions, "delete"] - after[actions, "delete"] == 3


def test_engine_and_events(measured: Measured) -> None:
    daemon = measured.daemon
    info = json.loads(daemon.docker("info", "-f", "{{json .}}"))
    found = measured.read()
    assert found["engine_daemon_engine_info", info["ServerVersion"]] == 1
    assert found["engine_daemon_engine_cpus_cpus", ""] == info["NCPU"]
    assert found["engine_daemon_engine_memory_bytes", ""] == info["MemTotal"]
    assert found["process_open_fds", ""] > 3
    assert found["engine_daemon_host_info_functions_seconds_count", "system_info"] >= 1
    before = found["engine_daemon_events_total", ""]
    with daemon.popen("events") as listening:
        name = ("engine_daemon_events_subscribers_total", "")
        wait_until(lambda: measured.read()[name] == 1, what="the listener")
        daemon.docker("create", "--name", "told", BUSYBOX)
        listening.terminate()
    assert measured.read()["engine_daemon_events_total", ""] == before + 1
    daemon.docker("rm", "told")


def test_health_checks(measured: Measured) -> None:
    daemon = measured.daemon
    made, failed = (
        ("engine_daemon_health_checks_total", ""),
        ("engine_daemon_health_checks_failed_total", ""),
    )
    before = measured.read()
    daemon.docker(
        "run",
        "-d",
        "--name",
        "ill",
        "--health-cmd",
        "false",
        "--health-interval",
        "100ms",
        BUSYBOX,
        "sleep",
        "600",
    )
    wait_until(lambda: measured.read()[failed] > before[failed], what="a failed check")
    daemon.docker("rm", "-f", "ill")
    after = measured.read()
    assert after[made] - before[made] == after[failed] - before[failed]


def test_nothing_else_is_served_there(measured: Measured) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://{measured.address}/containers/json", timeout=20)
    assert caught.value.code == 404


INSIDE = (
    "/debug/vars",
    "/debug/pprof/",
    "/debug/pprof/cmdline",
    "/docs",
    "/redoc",
    "/openapi.json",
    "/docs/oauth2-redirect",
)


def test_inside_is_shown_while_debugging_alone(measured: Measured) -> None:
    daemon = measured.daemon
    for path in (*INSIDE, "/v1.51/debug/vars", "/debug", "/v1.51/openapi.json"):
        assert daemon.request("GET", path) == (404, {"message": "page not found"}), path
    daemon.configure(debug=True)
    daemon.reload()
    for path in INSIDE:
        assert daemon.request("GET", path)[0] == 200, path
    assert "--metrics-addr" in daemon.request("GET", "/v1.51/debug/vars")[1]["cmdline"]
    status, stacks = daemon.request("GET", "/debug/pprof/goroutine?debug=2")
    assert status == 200
    assert b"Supervisor.watch" in stacks
    assert daemon.request("GET", "/debug/pprof/heap")[0] == 501
    daemon.configure(debug=False)
    daemon.reload()
    assert daemon.request("GET", "/debug/vars")[0] == 404
