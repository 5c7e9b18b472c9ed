"""Volumes of plugins, and of the local driver with options, with the real CLI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.stack import Stack, wait_until
from tests.support.volume_plugin import VolumePlugin, volume_plugin


@pytest.fixture
def plugin(stack: Stack, tmp_path: Path) -> Iterator[VolumePlugin]:
    """The plugin ``elsewhere``."""
    socket = stack.root / "run/docker/plugins/elsewhere.sock"
    with volume_plugin(socket, tmp_path / "elsewhere") as plugin:
        yield plugin
        stack.remove_all()
        for name in stack.docker("volume", "ls", "-q").split():
            stack.docker("volume", "rm", name)
        assert plugin.options == {}
        assert {name: ids for name, ids in plugin.mounted.items() if ids} == {}
    wait_until(lambda: os.listdir(stack.root / "run/docker/volumes") == [])


def inspect_volume(stack: Stack, name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(stack.docker("volume", "inspect", name))[0]
    return found


def test_lifecycle(stack: Stack, plugin: VolumePlugin) -> None:
    words = ("volume", "create", "-d", "elsewhere", "-o", "tier=gold", "--label", "a=b", "far")
    assert stack.docker(*words) == "far"
    assert plugin.options == {"far": {"tier": "gold"}}
    assert inspect_volume(stack, "far") == {
        "CreatedAt": "2026-01-02T03:04:05Z",
        "Driver": "elsewhere",
        "Labels": {"a": "b"},
        "Mountpoint": "",
        "Name": "far",
        "Options": {"tier": "gold"},
        "Scope": "global",
        "Status": {"colour": "blue"},
    }
    listed = stack.docker("volume", "ls", "--format", "{{.Driver}} {{.Name}} {{.Scope}}")
    assert listed == "elsewhere far global"
    assert stack.docker("volume", "ls", "-q", "-f", "driver=local") == ""
    assert stack.docker("volume", "ls", "-q", "-f", "driver=elsewhere", "-f", "label=a=b") == "far"
    assert "elsewhere" in stack.docker("info", "--format", "{{.Plugins.Volume}}")

    name = stack.docker(
        "run", "-d", "-v", "far:/data", "busybox", "sh", "-c", "echo x > /data/x; sleep 1000"
    )
    (identity,) = plugin.mounted["far"]
    assert identity == name
    wait_until((plugin.place("far") / "x").exists)
    # The image's content came along, since the volume was empty.
    assert (plugin.place("far") / "seed").read_text() == "from the image\n"
    (mount,) = stack.inspect(name)["Mounts"]
    assert (mount["Driver"], mount["Source"]) == ("elsewhere", str(plugin.place("far")))
    assert "volume is in use" in stack.fails("volume", "rm", "far")
    # Another one holds it, too; the first one's end is not the last.
    stack.docker("run", "--rm", "-v", "far:/data", "busybox", "cat", "/data/x")
    assert plugin.mounted["far"] == [name]
    stack.docker("kill", name)
    stack.docker("wait", name)
    plugin.wait_for("Unmount", 2)
    assert plugin.mounted["far"] == []

    stack.docker("rm", name)
    assert stack.docker("volume", "prune", "-af") == "Total reclaimed space: 0B"
    stack.docker("volume", "rm", "far")
    assert plugin.options == {}


def test_copy_out_of_a_stopped_container(
    stack: Stack, plugin: VolumePlugin, tmp_path: Path
) -> None:
    words = ("-v", "far:/data", "--volume-driver", "elsewhere", "busybox", "true")
    name = stack.docker("create", *words)
    plugin.place("far").joinpath("f").write_text("far away\n")
    stack.docker("cp", f"{name}:/data/f", str(tmp_path / "f"))
    assert (tmp_path / "f").read_text() == "far away\n"
    (tmp_path / "g").write_text("back\n")
    stack.docker("cp", str(tmp_path / "g"), f"{name}:/data/g")
    assert (plugin.place("far") / "g").read_text() == "back\n"
    plugin.wait_for("Unmount", len(plugin.called("Mount")))
    assert all(call["ID"].startswith("cp-") for call in plugin.called("Mount"))


def test_by_mount_and_anonymous(stack: Stack, plugin: VolumePlugin) -> None:
    mount = "type=volume,src=mm,dst=/m,volume-driver=elsewhere,volume-opt=k=v,volume-label=l=1"
    stack.docker("run", "--rm", "--mount", mount, "busybox", "touch", "/m/x")
    assert plugin.options == {"mm": {"k": "v"}}
    assert inspect_volume(stack, "mm")["Labels"] == {"l": "1"}
    stack.docker("run", "--rm", "--volume-driver", "elsewhere", "-v", "/anon", "busybox", "true")
    assert len(plugin.called("Create")) == 2
    # --rm took the anonymous one away.
    assert list(plugin.options) == ["mm"]


def test_names(stack: Stack, plugin: VolumePlugin) -> None:
    stack.docker("volume", "create", "-d", "elsewhere", "nn")
    error = stack.fails("volume", "create", "-d", "local", "nn")
    assert (
        "create nn: driver 'elsewhere' already has volume 'nn': volume name must be unique" in error
    )
    # Without a driver it is the one that there is.
    status, made = stack.request("POST", "/volumes/create", {"Name": "nn"})
    assert (status, made["Driver"]) == (201, "elsewhere")
    stack.docker("run", "--rm", "-v", "nn:/n", "busybox", "true")
    assert len(plugin.called("Create")) == 1
    # A name that no file could have.
    stack.docker("volume", "create", "-d", "elsewhere", "a/b")
    assert stack.docker("volume", "inspect", "a/b", "--format", "{{.Name}}") == "a/b"
    stack.docker("volume", "rm", "a/b")
    error = stack.fails("volume", "create", "-d", "elsewhere", "-o", "bad=1", "o")
    assert "create o: VolumeDriver.Create: bad is no option of mine" in error
    assert stack.docker("volume", "ls", "-q") == "nn"
    error = stack.fails("volume", "create", "-d", "nowhere", "o")
    assert 'create o: error looking up volume plugin nowhere: plugin "nowhere" not found' in error
    error = stack.fails(
        "run", "--rm", "--volume-driver", "nowhere", "-v", "oo:/o", "busybox", "true", code=125
    )
    assert 'error looking up volume plugin nowhere: plugin "nowhere" not found' in error


def test_what_others_made(stack: Stack, plugin: VolumePlugin) -> None:
    plugin.answer("VolumeDriver.Create", {"Name": "theirs", "Opts": None})
    assert stack.docker("volume", "ls", "--format", "{{.Driver}} {{.Name}}") == "elsewhere theirs"
    stack.docker("run", "--rm", "-v", "theirs:/t", "busybox", "touch", "/t/x")
    assert (plugin.place("theirs") / "x").exists()
    # Removed behind our back, it is gone for us, too.
    plugin.answer("VolumeDriver.Remove", {"Name": "theirs"})
    assert stack.docker("volume", "ls", "-q") == ""
    assert "get theirs: no such volume" in stack.fails("volume", "rm", "theirs")


def test_a_plugin_that_refuses(stack: Stack, plugin: VolumePlugin) -> None:
    stack.docker("volume", "create", "-d", "elsewhere", "vol")
    plugin.refuses["VolumeDriver.Mount"] = "the disk is on fire"
    error = stack.fails("run", "-v", "vol:/v", "-v", "ww:/w", "busybox", "true", code=125)
    assert "error while mounting volume 'vol': VolumeDriver.Mount: the disk is on fire" in error
    stack.remove_all()
    del plugin.refuses["VolumeDriver.Mount"]
    plugin.refuses["VolumeDriver.Remove"] = "never"
    assert "remove vol: VolumeDriver.Remove: never" in stack.fails("volume", "rm", "vol")
    assert stack.docker("volume", "ls", "-q", "-f", "driver=elsewhere") == "vol"
    del plugin.refuses["VolumeDriver.Remove"]


def test_the_plugin_is_gone(stack: Stack, tmp_path: Path) -> None:
    socket = stack.root / "run/docker/plugins/fleeting.sock"
    with volume_plugin(socket, tmp_path / "x"):
        stack.docker("volume", "create", "-d", "fleeting", "vol")
    assert stack.docker("volume", "ls", "--format", "{{.Name}}") == "vol"
    _, listed = stack.request("GET", "/volumes")
    assert listed["Warnings"] == ['list fleeting: plugin "fleeting" not found']
    error = stack.fails("run", "--rm", "-v", "vol:/v", "busybox", "true", code=125)
    assert 'plugin "fleeting" not found' in error
    assert 'plugin "fleeting" not found' in stack.fails("volume", "rm", "vol")
    stack.docker("volume", "rm", "-f", "vol")
    assert stack.docker("volume", "ls", "-q") == ""


def test_counts_survive_a_killed_daemon(stack: Stack, plugin: VolumePlugin) -> None:
    stack.docker("volume", "create", "-d", "elsewhere", "vol")
    name = stack.docker("run", "-d", "-v", "vol:/v", "busybox", "sleep", "1000")
    other = stack.docker("run", "-d", "-v", "vol:/v", "busybox", "sleep", "1000")
    stack.kill("dockerd")
    assert sorted(plugin.mounted["vol"]) == sorted([name, other])
    assert "volume is in use" in stack.fails("volume", "rm", "vol")
    stack.docker("rm", "-f", name)
    assert plugin.mounted["vol"] == [other]
    stack.docker("rm", "-f", other)
    assert plugin.mounted["vol"] == []


def test_a_mount_that_was_cut_short(stack: Stack, plugin: VolumePlugin) -> None:
    """The daemon dies after it has mounted and before anything else of the container is there."""
    stack.docker("volume", "create", "-d", "elsewhere", "vol")
    holder = "0" * 64
    ledger = stack.root / "run/docker/volumes"
    plugin.answer("VolumeDriver.Mount", {"Name": "vol", "ID": holder})
    (ledger / holder).write_text('["vol"]')
    (ledger / "cp-1").write_text('["vol", "gone"]')
    plugin.answer("VolumeDriver.Mount", {"Name": "vol", "ID": "cp-1"})
    stack.kill("dockerd")
    plugin.wait_for("Unmount", 2)
    wait_until(lambda: os.listdir(ledger) == [])
    assert plugin.mounted["vol"] == []


@pytest.mark.parametrize("method", ["Create", "Mount", "Unmount", "Remove"])
def test_the_daemon_dies_while_the_plugin_works(
    stack: Stack, plugin: VolumePlugin, method: str
) -> None:
    """Whatever the plugin has done meanwhile is known afterwards, or given back."""
    run = ("run", "-v", "vol:/v", "--volume-driver", "elsewhere", "busybox", "true")
    if method == "Remove":
        stack.docker("volume", "create", "-d", "elsewhere", "vol")
        run = ("volume", "rm", "vol")
    hold = plugin.holds[f"VolumeDriver.{method}"] = threading.Event()
    with stack.popen(*run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        plugin.wait_for(method)
        del plugin.holds[f"VolumeDriver.{method}"]
        stack.kill("dockerd")
        hold.set()
        plugin.settle()
        client.wait(30)
    wait_until(lambda: not any(plugin.mounted.values()), what=f"unmounted: {plugin.mounted}")
    wait_until(lambda: os.listdir(stack.root / "run/docker/volumes") == [])
    listed = stack.docker("volume", "ls", "-q").split()
    assert listed == list(plugin.options)
    # It can be used, and made again.
    again = ("run", "--rm", "-v", "vol:/v", "--volume-driver", "elsewhere", "busybox", "true")
    stack.docker(*again)


def test_events(stack: Stack, plugin: VolumePlugin) -> None:
    since = stack.docker("info", "--format", "{{.SystemTime}}")
    stack.docker("volume", "create", "-d", "elsewhere", "vol")
    stack.docker("run", "--rm", "-v", "vol:/v:ro", "busybox", "true")
    plugin.wait_for("Unmount")
    stack.docker("volume", "rm", "vol")
    until = stack.docker("info", "--format", "{{.SystemTime}}")
    text = stack.docker(
        "events", "--since", since, "--until", until, "-f", "type=volume", "--format", "{{json .}}"
    )
    events = [json.loads(line) for line in text.splitlines()]
    assert [each["Action"] for each in events] == ["create", "mount", "unmount", "destroy"]
    attributes = events[1]["Actor"]["Attributes"]
    assert attributes.pop("container")
    assert attributes == {
        "driver": "elsewhere",
        "destination": "/v",
        "read/write": "false",
        "propagation": "",
    }


# -- the local driver's options


def mounted_at(path: Path | str) -> bool:
    return subprocess.run(["mountpoint", "-q", path]).returncode == 0


def test_local_tmpfs(stack: Stack) -> None:
    words = ("-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=7")
    stack.docker("volume", "create", *words, "tt")
    data = inspect_volume(stack, "tt")["Mountpoint"]
    assert not mounted_at(str(data))
    command = "stat -c %u /t; df -k /t | tail -1; sleep 1000"
    name = stack.docker("run", "-d", "-v", "tt:/t", "busybox", "sh", "-c", command)
    wait_until(lambda: "1024" in stack.docker("logs", name))
    assert stack.docker("logs", name).splitlines()[0] == "7"
    assert mounted_at(str(data))
    # A second user, and a daemon that does not remember: it stays as long as anybody needs it.
    other = stack.docker(
        "run", "-d", "-v", "tt:/t", "busybox", "sh", "-c", "echo 1 > /t/f; sleep 999"
    )
    stack.kill("dockerd")
    stack.docker("rm", "-f", name)
    assert mounted_at(str(data))
    assert stack.docker("exec", other, "cat", "/t/f") == "1"
    stack.docker("rm", "-f", other)
    assert not mounted_at(str(data))
    stack.docker("volume", "rm", "tt")


def test_local_bind(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("host\n")
    words = ("-o", "type=none", "-o", f"device={tmp_path}", "-o", "o=bind,ro")
    stack.docker("volume", "create", *words, "bb")
    assert stack.docker("run", "--rm", "-v", "bb:/b", "busybox", "cat", "/b/f") == "host"
    error = stack.fails("run", "--rm", "-v", "bb:/b", "busybox", "touch", "/b/g")
    assert "Read-only file system" in error
    name = stack.docker("create", "-v", "bb:/b", "busybox", "true")
    stack.docker("cp", f"{name}:/b/f", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_text() == "host\n"
    stack.docker("rm", name)
    # Neither prune nor a removal touches what was bound.
    assert "bb" not in stack.docker("volume", "prune", "-af")
    stack.docker("volume", "rm", "bb")
    assert (tmp_path / "f").read_text() == "host\n"


def test_local_volume_that_is_still_mounted(stack: Stack, tmp_path: Path) -> None:
    """A removal never follows a mount into files that are not the volume's."""
    (tmp_path / "precious").write_text("x")
    words = ("-o", "type=none", "-o", f"device={tmp_path}", "-o", "o=bind")
    stack.docker("volume", "create", *words, "bb")
    data = str(inspect_volume(stack, "bb")["Mountpoint"])
    # As a daemon leaves it that is killed between a mount and its record.
    subprocess.run(["mount", "--bind", tmp_path, data], check=True)
    with subprocess.Popen(["sleep", "1000"], cwd=data) as user:
        assert "device or resource busy" in stack.fails("volume", "rm", "bb")
        user.kill()
    assert (tmp_path / "precious").exists()
    stack.docker("volume", "rm", "bb")
    assert not mounted_at(data)
    assert (tmp_path / "precious").exists()


def test_local_options_that_cannot_be(stack: Stack, tmp_path: Path) -> None:
    for words, error in (
        (("-o", "x=y"), 'create vv: invalid option: "x"'),
        (("-o", "type=tmpfs"), 'create vv: missing required option: "device"'),
        (("-o", "device=/x"), 'create vv: missing required option: "type"'),
        (("-o", "o=bind"), 'create vv: missing required option: "device"'),
        (("-o", "size=1g"), "create vv: quota size requested but no quota support"),
        (("-o", "size=big"), "create vv: invalid size: 'big'"),
    ):
        assert error in stack.fails("volume", "create", *words, "vv"), words
    assert "volume name is too short" in stack.fails("volume", "create", "v")
    assert stack.docker("volume", "ls", "-q") == ""
    words = ("-o", "type=none", "-o", f"device={tmp_path}/none", "-o", "o=bind")
    stack.docker("volume", "create", *words, "vv")
    error = stack.fails("run", "--rm", "-v", "vv:/v", "busybox", "true", code=127)
    assert "failed to mount local volume: mount" in error
    assert "flags: 0x1000: no such file or directory" in error
    stack.docker("volume", "rm", "vv")


_PROJECT = """
version: "3"
services:
  one:
    image: busybox
    command: sh -c "echo $$(cat /far/seed /near/f)"
    volumes: ["far:/far", "near:/near:ro"]
    logging: {driver: local, options: {max-size: 1m}}
volumes:
  far: {driver: elsewhere, driver_opts: {tier: gold}}
  near: {driver_opts: {type: none, o: bind, device: "%s"}}
"""


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="needs Debian's docker-compose")
def test_compose(stack: Stack, plugin: VolumePlugin, tmp_path: Path) -> None:
    (tmp_path / "near").mkdir()
    (tmp_path / "near/f").write_text("near")
    file = tmp_path / "docker-compose.yml"
    file.write_text(_PROJECT % (tmp_path / "near"))

    def compose(*words: str) -> str:
        command = ["docker-compose", "--ansi", "never", "-p", "vols", "-f", str(file), *words]
        done = subprocess.run(
            command, env=stack.environment, capture_output=True, text=True, timeout=50
        )
        assert done.returncode == 0, done
        return done.stdout

    stack.docker("volume", "create", "-d", "elsewhere", "-o", "tier=gold", "vols_far")
    (plugin.place("vols_far") / "seed").write_text("far and ")
    assert "far and near" in compose("up", "--no-color")
    assert plugin.options == {"vols_far": {"tier": "gold"}}
    compose("down", "-v")
    assert stack.docker("volume", "ls", "-q") == ""
