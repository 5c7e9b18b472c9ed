"""`docker cp`, `export` and `diff`: running and stopped, honest and hostile."""

from __future__ import annotations

import http.client
import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.support.stack import DOCKER, Stack, UnixConnection


@pytest.fixture(params=["running", "created"])
def name(stack: Stack, request: pytest.FixtureRequest) -> str:
    verb = ("run", "-d") if request.param == "running" else ("create",)
    return stack.docker(*verb, "-v", "/vol", "busybox", "sleep", "99")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tree = tmp_path / "source"
    (tree / "deep/er").mkdir(parents=True)
    (tree / "file").write_text("content\n")
    (tree / "file").chmod(0o4751)
    (tree / "deep/link").symlink_to("../file")
    os.link(tree / "file", tree / "deep/hard")
    return tree


def put(
    stack: Stack, name: str, path: str, *members: tuple[tarfile.TarInfo, bytes]
) -> tuple[int, bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member, data in members:
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    connection = UnixConnection(str(stack.socket))
    connection.request("PUT", f"/containers/{name}/archive?path={path}", buffer.getvalue())
    response: http.client.HTTPResponse = connection.getresponse()
    return response.status, response.read()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, link
    return found


def test_a_tree_comes_back_as_it_went(
    stack: Stack, name: str, source: Path, tmp_path: Path
) -> None:
    for inside in ("/new", "/vol/new"):
        stack.docker("cp", str(source), f"{name}:{inside}")
        back = tmp_path / f"back{inside.replace('/', '-')}"
        stack.docker("cp", f"{name}:{inside}", str(back))
        subprocess.run(["diff", "-r", source, back], check=True)
        assert (back / "file").stat().st_mode & 0o7777 == 0o4751
        assert (back / "deep/hard").stat().st_ino == (back / "file").stat().st_ino
        assert os.readlink(back / "deep/link") == "../file"


def test_a_file_and_a_link(stack: Stack, name: str, tmp_path: Path) -> None:
    stack.docker("cp", f"{name}:/etc/passwd", str(tmp_path / "passwd"))
    assert (tmp_path / "passwd").read_text().startswith("root:")
    assert put(stack, name, "/", (member("to", tarfile.SYMTYPE, "/etc/passwd"), b""))[0] == 200
    stack.docker("cp", f"{name}:/to", str(tmp_path / "link"))
    assert os.readlink(tmp_path / "link") == "/etc/passwd"
    stack.docker("cp", "-L", f"{name}:/to", str(tmp_path / "followed"))
    assert (tmp_path / "followed").read_text() == (tmp_path / "passwd").read_text()


def test_what_is_not_there(stack: Stack, name: str, source: Path) -> None:
    missing = f"Could not find the file /nope in container {name}"
    assert missing in stack.fails("cp", f"{name}:/nope", "-")
    assert missing in stack.fails("cp", str(source / "file"), f"{name}:/nope/x")
    assert put(stack, name, "/etc/passwd", (member("x"), b""))[0] == 400
    assert put(stack, name, "", (member("x"), b""))[0] == 400


def test_hostile_archives_stay_inside(stack: Stack, name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("host\n")
    assert put(stack, name, "/vol", (member("../../escape"), b"x"))[0] == 400
    status, _ = put(
        stack,
        name,
        "/vol",
        (member("out", tarfile.SYMTYPE, str(tmp_path)), b""),
        (member("out/secret"), b"container\n"),
    )
    # The link leads nowhere inside.
    assert status in {200, 404}
    assert secret.read_text() == "host\n"
    status, _ = put(stack, name, "/vol", (member("hard", tarfile.LNKTYPE, f"..{secret}"), b""))
    assert status in {400, 404}
    assert put(stack, name, "/vol", (member("up", tarfile.SYMTYPE, "../" * 20), b""))[0] == 200
    got = subprocess.run(
        [DOCKER, "cp", f"{name}:/vol/up{secret}", "-"], env=stack.environment, capture_output=True
    )
    assert got.returncode != 0
    assert secret.read_text() == "host\n"


def test_read_only_places_are_refused(stack: Stack, source: Path, tmp_path: Path) -> None:
    words = ("--read-only", "-v", f"{tmp_path}:/ro:ro", "-v", "/rw", "busybox", "sleep", "99")
    name = stack.docker("run", "-d", *words)
    file = str(source / "file")
    assert "mounted volume is marked read-only" in stack.fails("cp", file, f"{name}:/ro/x")
    assert "container rootfs is marked read-only" in stack.fails("cp", file, f"{name}:/etc/x")
    stack.docker("cp", file, f"{name}:/rw/x")


def test_copied_files_can_belong_to_the_user(stack: Stack, source: Path) -> None:
    name = stack.docker("run", "-d", "-u", "1000:50", "busybox", "sleep", "99")
    stack.docker("cp", "-a", str(source / "file"), f"{name}:/tmp/x")
    assert stack.docker("exec", name, "stat", "-c", "%u:%g", "/tmp/x") == "1000:50"


def test_directories_and_files_do_not_replace_each_other(
    stack: Stack, name: str, source: Path
) -> None:
    stack.docker("cp", str(source), f"{name}:/new")
    connection = UnixConnection(str(stack.socket))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(member("deep"))
    path = f"/containers/{name}/archive?path=/new&noOverwriteDirNonDir=1"
    connection.request("PUT", path, buffer.getvalue())
    response = connection.getresponse()
    assert (response.status, b"cannot overwrite directory" in response.read()) == (400, True)


def test_export_has_the_files_and_not_the_volumes(stack: Stack, name: str) -> None:
    assert put(stack, name, "/vol", (member("hidden"), b"x"))[0] == 200
    assert put(stack, name, "/", (member("shown"), b"x"))[0] == 200
    done = subprocess.run(
        [DOCKER, "export", name], env=stack.environment, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        names = archive.getnames()
    assert {"bin/busybox", "etc/passwd", "shown"} <= set(names)
    assert "vol/hidden" not in names


def test_diff(stack: Stack) -> None:
    name = stack.docker("run", "-d", "busybox", "sleep", "99")
    assert stack.docker("diff", name) == ""
    script = "touch /new; echo x >>/etc/passwd; rm /etc/group; mkdir /d; touch /d/in; rm -r /home; mkdir /home"
    stack.docker("exec", name, "sh", "-c", script)
    lines = set(stack.docker("diff", name).splitlines())
    assert {
        "A /new",
        "C /etc",
        "C /etc/passwd",
        "D /etc/group",
        "A /d",
        "A /d/in",
        "C /home",
    } <= lines
    assert not any(line.endswith(("/.dockerenv", "/etc/hosts", "/dev")) for line in lines)


def test_of_a_stopped_container_has_the_parts_of_volumes_and_images(
    stack: Stack, tmp_path: Path
) -> None:
    script = "mkdir -p /x/in/deep; echo below >/x/in/file; ln -s /etc /x/out"
    stack.docker("run", "--rm", "-v", "parts:/x", "busybox", "sh", "-c", script)
    part, image = "type=volume,src=parts,dst=/m,volume-subpath", "type=image,src=busybox,dst=/i"
    stack.docker("create", "--name", "whole", "--mount", f"{part}=in", "busybox")
    stack.docker("create", "--name", "out", "--mount", f"{part}=out", "busybox")
    stack.docker("create", "--name", "picture", "--mount", f"{image},image-subpath=data", "busybox")
    archive = stack.call("cp", "whole:/m/file", "-", binary=True).stdout
    assert b"below" in archive
    (tmp_path / "given").write_text("given")
    stack.docker("cp", str(tmp_path / "given"), "whole:/m/deep/")
    script = "cat /x/in/deep/given"
    assert stack.docker("run", "--rm", "-v", "parts:/x", "busybox", "sh", "-c", script) == "given"
    assert b"from the image" in stack.call("cp", "picture:/i/seed", "-", binary=True).stdout
    # A link in a volume leads nowhere but into the volume.
    assert "Could not find the file" in stack.fails("cp", "out:/m/passwd", "-")
    stack.docker("rm", "whole", "out", "picture")
    stack.docker("volume", "rm", "parts")
