"""Compose v2, built from its public module by `make test-compose-v2`: a project of three services on two networks."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.stack import CLONE, Done, Stack, wait_until

pytestmark = pytest.mark.slow
_COMPOSE = CLONE / "build/tools/usr/bin/compose2"
_PROJECT = """
name: trio
services:
  db:
    image: busybox
    command: sh -c 'sleep 0.3; touch /data/ready; exec httpd -f -h /data'
    stop_signal: SIGKILL
    volumes: ["data:/data", {type: tmpfs, target: /fast}]
    healthcheck: {test: ["CMD", "test", "-e", "/data/ready"], interval: 200ms, timeout: 2s, retries: 50}
    networks: {back: {aliases: [database]}}
  web:
    image: busybox
    command: sh -c 'echo started; cp /etc/hostname /tmp; exec httpd -f -h /tmp'
    stop_signal: SIGKILL
    depends_on: {db: {condition: service_healthy}}
    environment: {GREETING: "hello ${NAME:-nobody}"}
    ports: ["127.0.0.1::80"]
    networks: [back, default]
    configs: [{source: words, target: /etc/words}]
    secrets: [hidden]
  worker:
    image: busybox
    command: sh -c 'echo tick; exec sleep 99'
    stop_signal: SIGKILL
    deploy: {resources: {limits: {memory: 64M}}}
    labels: {part: worker}
  job:
    image: busybox
    command: sh -c 'echo did; exit 3'
    profiles: [jobs]
configs: {words: {file: ./words}}
secrets: {hidden: {file: ./hidden}}
volumes: {data: {}}
networks: {back: {internal: true}}
"""


@dataclass
class Project:
    """A folder with a project, and the client as a plugin of docker's."""

    stack: Stack
    folder: Path

    def call(self, *words: str) -> Done:
        done = subprocess.run(
            ["docker", "compose", "--ansi", "never", "--progress", "plain", *words],
            cwd=self.folder,
            env={**self.stack.environment, "NAME": "you"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def __call__(self, *words: str) -> str:
        done = self.call(*words)
        assert done.code == 0, (words, done)
        return done.out.rstrip("\n")

    def ps(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self("ps", "--format", "json", *words).splitlines()]


@pytest.fixture
def project(stack: Stack, tmp_path: Path) -> Iterator[Project]:
    if not _COMPOSE.exists():
        pytest.skip("needs Compose v2: make test-compose-v2")
    plugins = stack.root / "client/cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    shutil.copy(_COMPOSE, plugins / "docker-compose")
    (tmp_path / "compose.yaml").write_text(_PROJECT)
    (tmp_path / "words").write_text("configured\n")
    (tmp_path / "hidden").write_text("secret\n")
    found = Project(stack, tmp_path)
    yield found
    found("--profile", "jobs", "down", "-v", "-t", "0")
    shutil.rmtree(plugins)


def test_project_comes_up_and_goes(project: Project) -> None:
    stack = project.stack
    project("up", "-d", "--wait")
    states = {each["Service"]: (each["State"], each["Health"]) for each in project.ps()}
    assert states == {
        "db": ("running", "healthy"),
        "web": ("running", ""),
        "worker": ("running", ""),
    }
    assert set(
        stack.docker("network", "ls", "--filter", "type=custom", "--format", "{{.Name}}").split()
    ) == {"trio_back", "trio_default"}
    port = project("port", "web", "80").rpartition(":")[2]
    fetched = ("run", "--rm", "--network", "host", "busybox", "wget", "-qO-")
    assert len(stack.docker(*fetched, f"http://127.0.0.1:{port}/hostname")) == 12
    assert (
        project("exec", "web", "sh", "-c", "echo $GREETING; cat /etc/words /run/secrets/hidden")
        == "hello you\nconfigured\nsecret"
    )
    assert "name:\tdatabase" in project("exec", "-T", "web", "nslookup", "database").lower()
    assert project.call("exec", "-T", "web", "sh", "-c", "exit 9").code == 9
    assert "sleep 99" in project("top", "worker")
    assert "trio" in project("ls")
    assert "busybox" in project("images")
    project("down", "-v", "-t", "0")
    assert stack.docker("ps", "-aq") == ""
    assert stack.docker("network", "ls", "-q", "--filter", "type=custom") == ""
    assert stack.docker("volume", "ls", "-q") == ""


def test_services_scale_restart_and_change(project: Project) -> None:
    project("up", "-d", "--scale", "worker=3")
    wait_until(lambda: project("logs", "worker").count("tick") == 3)
    assert len(project.ps("worker")) == 3
    project("scale", "worker=1")
    assert [each["Name"] for each in project.ps("worker")] == ["trio-worker-1"]
    before = project("ps", "-q", "web")
    project("restart", "-t", "0", "web")
    assert project("ps", "-q", "web") == before
    wait_until(lambda: project("logs", "--no-log-prefix", "web").count("started") == 2)
    project("stop", "-t", "0", "worker")
    assert project.ps("worker") == []
    project("start", "worker")
    project("pause", "worker")
    assert project.ps("worker")[0]["State"] == "paused"
    project("unpause", "worker")
    project("kill", "worker")
    assert project.ps("-a", "worker")[0]["ExitCode"] == 137
    project("up", "-d")
    assert len(project.ps()) == 3
    text = (project.folder / "compose.yaml").read_text()
    (project.folder / "compose.yaml").write_text(text.replace("echo tick", "echo tock"))
    done = project.call("up", "-d")
    assert done.code == 0, done
    wait_until(lambda: "tock" in project("logs", "worker"))
    assert project("ps", "-q", "web") == before


def test_one_off_runs_and_jobs(project: Project) -> None:
    assert project("run", "--rm", "--no-deps", "worker", "echo", "once").splitlines()[-1] == "once"
    done = project.call("--profile", "jobs", "up", "--no-deps", "--exit-code-from", "job", "job")
    assert done.code == 3, done
    assert "did" in done.out
    project("create", "db")
    assert project.ps("-a", "db")[0]["State"] == "created"
    project("cp", "words", "db:/data/words")
    project("cp", "db:/data/words", "back")
    assert (project.folder / "back").read_text() == "configured\n"
    project("rm", "-f", "-s", "db")
