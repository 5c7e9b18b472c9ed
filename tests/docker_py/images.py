"""The images that docker-py's tests pull from Docker Hub, made of this machine's programs and served by a mirror."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.support.images import busybox_layer, docker_archive, layer
from tests.support.registry import Registry

_CLONE: Final = Path(__file__).parents[2]
# By their names; alpine's two are different images there, too.
_SHELLS: Final = ("alpine:3.10", "alpine:latest", "busybox:latest")
# What the tests look for in alpine.
_EXPECTED: Final = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\n",
    "etc/group": b"root:x:0:\npostgres:x:70:\n",
    "var/opt/": b"",
}


def archives() -> dict[str, bytes]:
    """A docker archive for each name."""
    layers = [busybox_layer(), layer(_EXPECTED)]
    found = {
        name: docker_archive(name, layers, {"Cmd": ["/bin/sh"], "Labels": {"stands-for": name}})
        for name in _SHELLS
    }
    hello = layer({"hello": (_CLONE / "build/hello").read_bytes()})
    found["hello-world:latest"] = docker_archive("hello-world:latest", [hello], {"Cmd": ["/hello"]})
    return found


def publish(registry: Registry) -> None:
    """Put them where a mirror of Docker Hub has them."""
    for name, archive in archives().items():
        registry.push(archive, f"library/{name}")
