"""Images for tests, made of the machine's static busybox: no network is needed."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

BUSYBOX = "busybox:latest"


def busybox_binary() -> bytes:
    """The static busybox of the machine."""
    path = shutil.which("busybox")
    assert path is not None, "needs Debian's busybox-static"
    return Path(path).read_bytes()


def layer(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """A layer: files (a name that ends in ``/`` is a directory) and symbolic links."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name.rstrip("/"))
            member.mode = 0o1777 if name == "tmp/" else 0o644 if name.startswith("etc/p") else 0o755
            if name.endswith("/"):
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.SYMTYPE
            member.linkname = target
            archive.addfile(member)
    return buffer.getvalue()


def busybox_layer() -> bytes:
    """A root file system of one busybox and its applets."""
    binary = busybox_binary()
    path = shutil.which("busybox")
    applets = subprocess.run([str(path), "--list"], capture_output=True, text=True, check=True)
    folders = ("bin/", "etc/", "home/", "root/", "tmp/", "var/", "var/www/", "data/")
    files = dict.fromkeys(folders, b"")
    files["bin/busybox"] = binary
    files["etc/passwd"] = b"root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home:/bin/sh\n"
    files["etc/group"] = b"root:x:0:\nuser:x:1000:\nextra:x:2000:user\n"
    files["data/seed"] = b"from the image\n"
    links = {f"bin/{name}": "busybox" for name in applets.stdout.split() if name != "busybox"}
    return layer(files, links)


def docker_archive(name: str, layers: list[bytes], config: dict[str, Any] | None = None) -> bytes:
    """What `docker save` writes for one image."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {
            "Env": ["PATH=/bin"],
            "Cmd": ["sh"],
            "Labels": {"made-by": "tests"},
            **(config or {}),
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers],
        },
        "history": [{"created_by": f"layer {index}"} for index in range(len(layers))],
    }
    text = json.dumps(document).encode()
    config_name = f"{hashlib.sha256(text).hexdigest()}.json"
    names = [f"{hashlib.sha256(each).hexdigest()}/layer.tar" for each in layers]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": names}]).encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entries = [
            (config_name, text),
            *zip(names, layers, strict=True),
            ("manifest.json", manifest),
        ]
        for entry, content in entries:
            member = tarfile.TarInfo(entry)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
