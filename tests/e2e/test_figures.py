"""`docker stats`, and prune in all its forms."""

from __future__ import annotations

import json
import time

from tests.support.images import docker_archive, layer
from tests.support.stack import Stack


def test_stats(stack: Stack) -> None:
    script = "while true; do :; done"
    name = stack.docker("run", "-d", "-m", "64m", "--name", "busy", "busybox", "sh", "-c", script)
    line = json.loads(stack.docker("stats", "--no-stream", "--format", "{{json .}}", name))
    assert line["Name"] == "busy"
    assert float(line["CPUPerc"].rstrip("%")) > 5
    assert line["MemUsage"].endswith("/ 64MiB")
    assert int(line["PIDs"]) >= 1
    status, answer = stack.request("GET", f"/containers/{name}/stats?stream=0&one-shot=1")
    assert status == 200
    assert answer["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert answer["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert set(answer["networks"]) == {"eth0"}
    assert stack.request("GET", f"/containers/{name}/stats?one-shot=1")[0] == 400


def test_stats_of_a_stopped_container(stack: Stack) -> None:
    name = stack.docker("create", "busybox", "true")
    line = json.loads(stack.docker("stats", "--no-stream", "--format", "{{json .}}", name))
    assert line["MemUsage"] == "0B / 0B"


def test_container_prune_filters(stack: Stack) -> None:
    kept = stack.docker("create", "--label", "keep=1", "busybox", "true")
    gone = stack.docker("create", "busybox", "true")
    assert gone in stack.docker("container", "prune", "-f", "--filter", "label!=keep")
    assert stack.docker("container", "prune", "-f", "--filter", "until=1h").startswith("Total")
    assert stack.docker("ps", "-aq", "--no-trunc") == kept
    assert "invalid filter" in stack.fails("container", "prune", "-f", "--filter", "foo=1")


def test_image_prune(stack: Stack) -> None:
    for number in (b"1", b"2"):
        stack.docker("load", stdin=docker_archive("pruned:1", [layer({"number": number})]))
    listed = stack.docker("images", "-q", "--filter", "dangling=true").splitlines()
    out = stack.docker("image", "prune", "-f")
    if listed:
        assert "deleted: sha256:" in out
    assert stack.docker("images", "-q", "pruned") != ""
    used = stack.docker("create", "busybox", "true")
    out = stack.docker("image", "prune", "-af", "--filter", "label=made-by")
    assert "untagged: pruned:1" in out
    assert stack.docker("images", "-q", "busybox") != ""
    stack.docker("rm", used)


def test_system_df_measures(stack: Stack) -> None:
    script = "head -c 100000 /dev/zero >/v/file; ln /v/file /v/again; head -c 5000 /dev/zero >/own"
    stack.docker("run", "--name", "writer", "-v", "measured:/v", "busybox", "sh", "-c", script)
    _, found = stack.request("GET", "/system/df")
    (volume,) = found["Volumes"]
    assert volume["UsageData"] == {"Size": 100_000, "RefCount": 1}
    (container,) = found["Containers"]
    assert container["SizeRw"] >= 5000
    (image,) = [each for each in found["Images"] if "busybox:latest" in each["RepoTags"]]
    assert container["SizeRootFs"] == container["SizeRw"] + image["Size"]
    assert image["Containers"] == 1
    status, only = stack.request("GET", "/system/df?type=volume")
    assert (status, set(only)) == (200, {"Volumes"})
    assert stack.request("GET", "/system/df?type=foo")[0] == 400
    stack.docker("rm", "writer")
    assert "100kB" in stack.docker("volume", "prune", "-af")


def test_shared_layers_count_once(stack: Stack) -> None:
    base = layer({"base": b"x" * 5000})
    for number in (b"1", b"2"):
        name = f"sharing:{number.decode()}"
        stack.docker("load", stdin=docker_archive(name, [base, layer({"own": number})]))
    _, found = stack.request("GET", "/system/df?type=image")
    ours = [each for each in found["Images"] if each["RepoTags"][0].startswith("sharing:")]
    assert ours[0]["SharedSize"] == ours[1]["SharedSize"] > 0
    assert found["LayersSize"] < sum(each["Size"] for each in found["Images"])
    stack.docker("rmi", "sharing:1", "sharing:2")


def test_events_are_remembered_over_a_restart(stack: Stack) -> None:
    name = stack.docker("run", "-d", "busybox", "sleep", "99")
    stack.kill("dockerd")
    words = (
        "events",
        "--since",
        "60s",
        "--until",
        f"{time.time():.6f}",
        "--filter",
        f"container={name}",
    )
    actions = stack.docker(*words, "--format", "{{.Action}}").split()
    assert actions[:2] == ["create", "start"]
