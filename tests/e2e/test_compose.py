"""Compose 1.29, as Debian has it: a project of three services on two networks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.stack import Stack, wait_until

_PROJECT = """
version: "2.4"
services:
  db:
    image: busybox
    command: httpd -f -h /data
    stop_signal: SIGKILL
    volumes: ["data:/data"]
    healthcheck: {test: ["CMD", "true"], interval: 200ms}
    networks: {back: {aliases: [database]}}
  web:
    image: busybox
    command: sh -c 'echo started; cp /etc/hostname /tmp; exec httpd -f -h /tmp'
    stop_signal: SIGKILL
    depends_on: {db: {condition: service_healthy}}
    ports: ["127.0.0.1::80"]
    networks: [back, default]
  worker:
    image: busybox
    command: sh -c 'echo tick; exec sleep 99'
    stop_signal: SIGKILL
volumes: {data: {}}
networks: {back: {internal: true}}
"""

Compose = Callable[..., str]


@pytest.fixture
def compose(stack: Stack, tmp_path: Path) -> Iterator[Compose]:
    if shutil.which("docker-compose") is None:
        pytest.skip("needs Debian's docker-compose")
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "docker-compose.yml").write_text(_PROJECT)

    def run(*words: str) -> str:
        done = subprocess.run(
            ["docker-compose", "--ansi", "never", *words],
            cwd=directory,
            env=stack.environment,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    yield run
    run("down", "-v")


def test_project_comes_up_scales_and_goes(stack: Stack, compose: Compose) -> None:
    compose("up", "-d")
    assert compose("ps", "-q").count("\n") == 3
    port = compose("port", "web", "80").rpartition(":")[2].strip()
    fetched = ("run", "--rm", "--network", "host", "busybox", "wget", "-qO-")
    name = stack.docker(*fetched, f"http://127.0.0.1:{port}/hostname")
    assert len(name) == 12
    assert "name:	database" in compose("exec", "-T", "web", "nslookup", "database").lower()
    compose("up", "-d", "--scale", "worker=3")
    wait_until(lambda: compose("logs", "worker").count("tick") == 3)
    assert "web_1" in compose("up", "-d", "--scale", "worker=3")
    before = compose("ps", "-q", "web")
    compose("restart", "-t", "0", "web")
    assert compose("ps", "-q", "web") == before
    wait_until(lambda: compose("logs", "web").count("started") == 2)
    assert "Up (healthy)" in compose("ps", "db")
    assert "sleep 99" in compose("top", "worker")
    assert "once" in compose("run", "--rm", "--no-deps", "-T", "worker", "echo", "once")
    compose("stop", "-t", "0", "worker")
    assert "Exit 137" in compose("ps", "worker")
    compose("down", "-v")
    assert stack.docker("ps", "-aq") == ""
    assert stack.docker("network", "ls", "-q", "--filter", "type=custom") == ""
    assert stack.docker("volume", "ls", "-q") == ""
