"""Bind mounts and volumes, with the real CLI."""

from __future__ import annotations

from pathlib import Path

from tests.support.images import docker_archive, layer
from tests.support.stack import Stack


def test_bind_mount(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("host\n")
    words = ("-v", f"{tmp_path}:/m", "busybox", "sh", "-c", "cat /m/f; echo box > /m/g")
    assert stack.docker("run", "--rm", *words) == "host"
    assert (tmp_path / "g").read_text() == "box\n"
    words = ("-v", f"{tmp_path}:/m:ro", "busybox", "touch", "/m/x")
    assert "Read-only file system" in stack.fails("run", "--rm", *words)


def test_missing_bind_source(stack: Stack, tmp_path: Path) -> None:
    stack.docker("run", "--rm", "-v", f"{tmp_path}/new:/m", "busybox", "touch", "/m/x")
    assert (tmp_path / "new/x").exists()
    words = ("--mount", f"type=bind,src={tmp_path}/none,dst=/m", "busybox", "true")
    error = stack.fails("run", "--rm", *words, code=125)
    assert f"bind source path does not exist: {tmp_path}/none" in error


def test_named_volume_takes_the_images_content(stack: Stack) -> None:
    stack.docker("run", "--rm", "-v", "kept:/data", "busybox", "sh", "-c", "echo more > /data/more")
    assert stack.docker("run", "--rm", "-v", "kept:/x", "busybox", "cat", "/x/seed", "/x/more") == (
        "from the image\nmore"
    )
    assert stack.docker("volume", "ls", "-q") == "kept"
    assert "/kept/_data" in stack.docker("volume", "inspect", "--format", "{{.Mountpoint}}", "kept")
    name = stack.docker("create", "-v", "kept:/x", "busybox")
    error = stack.fails("volume", "rm", "kept")
    assert f"volume is in use - [{name}]" in error
    stack.docker("rm", name)
    stack.docker("volume", "rm", "kept")
    assert stack.docker("volume", "ls", "-q") == ""


def test_anonymous_volume_goes_with_rm(stack: Stack) -> None:
    stack.docker("run", "--rm", "-v", "/anon", "busybox", "touch", "/anon/x")
    assert stack.docker("volume", "ls", "-q") == ""
    name = stack.docker("run", "-d", "-v", "/anon", "busybox", "true")
    assert len(stack.docker("volume", "ls", "-q").split()) == 1
    stack.docker("wait", name)
    stack.docker("rm", "-v", name)
    assert stack.docker("volume", "ls", "-q") == ""


def test_bad_mounts(stack: Stack) -> None:
    error = stack.fails("run", "-v", "/a:relative", "busybox", "true", code=125)
    assert "mount path must be absolute" in error
    error = stack.fails("run", "-v", "a b:/x", "busybox", "true", code=125)
    assert "includes invalid characters for a local volume name" in error
    error = stack.fails("run", "-v", "/a:/x", "-v", "/b:/x", "busybox", "true", code=125)
    assert "Duplicate mount point: /x" in error
    assert stack.docker("ps", "-aq") == ""


def test_image_mounts(stack: Stack, tmp_path: Path) -> None:
    base = docker_archive(
        "tools:1", [layer({"opt/tool": b"one\n"}), layer({"opt/more/deep": b"two\n"})]
    )
    stack.docker("load", stdin=base)
    words = ("--mount", "type=image,source=tools:1,target=/tools")
    listing = "cat /tools/opt/tool /tools/opt/more/deep; touch /tools/x"
    done = stack.call("run", "--name", "user", *words, "busybox", "sh", "-c", listing)
    assert done.out == "one\ntwo\n"
    assert "Read-only file system" in done.err
    (point,) = stack.inspect("user")["Mounts"]
    assert (point["Type"], point["Name"], point["RW"]) == ("image", "tools:1", False)
    # The image may go; what the container has of it stays until the container goes.
    stack.docker("rmi", "-f", "tools:1")
    stack.docker("cp", "user:/tools/opt/tool", str(tmp_path / "tool"))
    assert (tmp_path / "tool").read_text() == "one\n"
    stack.kill("dockerd")
    assert stack.call("start", "-a", "user").out == "one\ntwo\n"
    heir = ("run", "--rm", "--volumes-from", "user", "busybox", "cat", "/tools/opt/tool")
    assert stack.docker(*heir) == "one"
    stack.docker("rm", "user")
    error = stack.fails("create", *words, "busybox", code=1)
    assert "No such image: tools:1" in error
    stack.docker("load", stdin=base)
    below = f"{words[1]},image-subpath=opt/more"
    assert stack.docker("run", "--rm", "--mount", below, "busybox", "ls", "/tools") == "deep"
    below = f"{words[1]},image-subpath=nowhere"
    error = stack.fails("run", "--rm", "--mount", below, "busybox", "ls", "/tools", code=127)
    assert "no such file or directory" in error
    below = f"{words[1]},image-subpath=../x"
    error = stack.fails("run", "--rm", "--mount", below, "busybox", "ls", "/tools", code=125)
    assert "subpath must be a relative path within the volume" in error
    stack.docker("rmi", "tools:1")


def test_volume_mount_does_not_leave_the_rootfs_by_a_link(stack: Stack, tmp_path: Path) -> None:
    """A symbolic link of the container's at the mount point must not lead the mount to the host (CVE-2021-30465 and kin)."""
    (tmp_path / "f").write_text("x")
    stack.docker(
        "run", "--name", "maker", "-v", "vol:/v", "busybox", "ln", "-s", "/../../../../etc", "/v/e"
    )
    words = (
        "-v",
        "vol:/v",
        "-v",
        f"{tmp_path}:/v/e/inner",
        "busybox",
        "sh",
        "-c",
        "ls /etc/inner; ls /v",
    )
    done = stack.call("run", "--rm", *words)
    assert not Path("/etc/inner").exists()
    assert "f" in done.out
    stack.docker("rm", "maker")
    stack.docker("volume", "rm", "vol")
