"""config.toml: what is read, what is passed over by name, what is refused by name, and that it can be written."""

from __future__ import annotations

from pathlib import Path

import pytest

from containerd.__main__ import main
from containerd.config import parse as parse_flags
from containerd.settings import Settings, parse, seconds, write
from wire.errors import InvalidArgument

FULL = """
version = {version}
root = "/r"
state = "/s"
disabled_plugins = ["cri"]
imports = []
[grpc]
  address = "/a.sock"
  uid = 3
  gid = 4
  max_recv_message_size = 1000
  tcp_address = ""
[ttrpc]
  address = "/t.sock"
  gid = 5
[debug]
  level = "warn"
[plugins."io.containerd.gc.v1.scheduler"]
  schedule_delay = "1m0.5s"
  startup_delay = "0s"
  pause_threshold = 0.5
  deletion_threshold = 3
  mutation_threshold = 7
  no_such_threshold = 100
[plugins."io.containerd.snapshotter.v1.overlayfs"]
  root_path = "/o"
[plugins."{cri}".registry]
  config_path = "/certs"
"""


@pytest.mark.parametrize(
    ("version", "cri"), [(2, "io.containerd.grpc.v1.cri"), (3, "io.containerd.cri.v1.images")]
)
def test_both_versions(version: int, cri: str) -> None:
    settings, unknown = parse(FULL.format(version=version, cri=cri))
    assert settings == Settings(
        root="/r",
        state="/s",
        address="/a.sock",
        uid=3,
        gid=4,
        max_recv=1000,
        ttrpc_address="/t.sock",
        ttrpc_gid=5,
        log_level="warn",
        gc_delay="1m0.5s",
        gc_startup="0s",
        gc_pause=0.5,
        gc_deletions=3,
        gc_mutations=7,
        overlay_root="/o",
        hosts_dir="/certs",
    )
    assert unknown == ["plugins.io.containerd.gc.v1.scheduler.no_such_threshold"]
    assert parse(write(settings)) == (settings, [])


def test_defaults_can_be_written() -> None:
    assert parse(write(Settings())) == (Settings(), [])
    odd = Settings(root='/a "b"\\\n\x7f', disabled=("io.containerd.grpc.v1.tasks",), gc_pause=0)
    assert parse(write(odd)) == (odd, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("root = '/x'", "version 2 or 3, got 1"),
        ("version = 4", "version 2 or 3, got 4"),
        ("version = true", "got True"),
        ("version = 2\nroot", "failed to unmarshal TOML"),
        ("version = 2\nroot = 3", "root: expected str, got 3"),
        ("version = 2\n[grpc]\nuid = true", "grpc.uid: expected int, got True"),
        ("version = 2\n[grpc]\ngid = -1", "grpc.gid: -1 is out of range"),
        ("version = 2\n[grpc]\ntcp_address = ':1'", "grpc.tcp_address = ':1' is not supported"),
        ("version = 2\nimports = ['/x']", "imports = .* is not supported"),
        ("version = 2\ndisabled_plugins = ['overlayfs']", "'overlayfs' cannot be disabled"),
        (
            "version = 2\n[plugins.'io.containerd.gc.v1.scheduler']\nschedule_delay = '1x'",
            'schedule_delay: invalid duration "1x"',
        ),
    ],
)
def test_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("0s", 0), ("100ms", 0.1), ("1h2m3.5s", 3723.5), (".5s", 0.5)]
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text, "schedule_delay") == pytest.approx(value)


def test_plugins_that_can_be_done_without() -> None:
    ours = "io.containerd.snapshotter.v1.native"
    text = f"version = 2\ndisabled_plugins = ['io.containerd.grpc.v1.cri', '{ours}', 'btrfs']"
    assert parse(text)[0].disabled == (ours,)


def test_flags_go_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(FULL.format(version=2, cri="x"))
    config = parse_flags(["-c", str(file), "--root", "/flag", "-l", "error"], "0")
    assert (config.root, config.state, config.log_level) == ("/flag", "/s", "error")
    assert config.ttrpc_address == "/t.sock"
    assert parse_flags(["-a", "/b.sock"], "0").ttrpc_address == "/b.sock.ttrpc"


def test_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "default"]) == 0
    assert parse(capsys.readouterr().out) == (Settings(), [])
    file = tmp_path / "config.toml"
    file.write_text("version = 2\nroot = '/r'")
    assert main(["--config", str(file), "--state", "/flag", "config", "dump"]) == 0
    assert parse(capsys.readouterr().out) == (Settings(root="/r", state="/flag"), [])
    file.write_text("version = 2\n[debug]\nlevel = 'loud'")
    assert main(["-c", str(file), "config", "dump"]) == 1
    assert 'debug.level: not a valid level: "loud"' in capsys.readouterr().err
    assert main(["-c", str(tmp_path / "gone"), "config", "dump"]) == 1
    assert "No such file" in capsys.readouterr().err
