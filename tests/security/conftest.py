"""Tests of the runtime's defences, each named after the CVE ids of the flaws in other runtimes that it is about.

``RUNTIME=crun pytest tests/security`` shows which of them another runtime fails.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.runtime import conftest as runtime
from tests.runtime.conftest import Box

box = runtime.box
_test_cgroup = runtime._test_cgroup

_IN_MODIFY, _IN_ATTRIB, _IN_OPEN, _IN_CREATE, _IN_DELETE, _IN_MOVED = (
    0x2,
    0x4,
    0x20,
    0x100,
    0x200,
    0xC0,
)
_WATCHED = _IN_MODIFY | _IN_ATTRIB | _IN_OPEN | _IN_CREATE | _IN_DELETE | _IN_MOVED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    runtime.skip_without_needs(items, Path(__file__).parent)


@dataclass
class Canary:
    """A tree of the host that no container may reach: its content and modes stay, and nobody even opens its files."""

    root: Path
    _descriptor: int = -1
    _before: str = ""
    _watched: dict[int, Path] = field(default_factory=dict)

    def plant(self) -> None:
        for name in ("dir/inner", "empty"):
            (self.root / name).mkdir(parents=True)
        for name in ("passwd", "null", "core_pattern", "dir/file", "dir/inner/file"):
            (self.root / name).write_text(f"canary {name}\n")
        self._before = self._digest()
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        for folder in (self.root, *(path for path in self.root.rglob("*") if path.is_dir())):
            number = libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _WATCHED)
            assert number >= 0, os.strerror(ctypes.get_errno())
            self._watched[number] = folder

    def events(self) -> list[str]:
        """What has happened in the tree since it was planted, or since the last call."""
        found = []
        while True:
            try:
                data = os.read(self._descriptor, 65536)
            except BlockingIOError:
                return found
            while data:
                number, mask, _, length = struct.unpack_from("iIII", data)
                name = data[16 : 16 + length].rstrip(b"\0").decode()
                found.append(f"{mask:#x} {self._watched.get(number, '?')}/{name}")
                data = data[16 + length :]

    def assert_untouched(self, context: object = "") -> None:
        events = self.events()
        assert events == [], (context, events)
        assert self._digest() == self._before, context
        self.events()

    def close(self) -> None:
        os.close(self._descriptor)

    def _digest(self) -> str:
        lines = []
        for path in sorted([self.root, *self.root.rglob("*")]):
            status = path.lstat()
            content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
            lines.append(f"{path} {status.st_mode:o} {status.st_uid} {status.st_gid} {content}")
        return "\n".join(lines)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    made = Canary(tmp_path / "canary")
    made.plant()
    made.events()
    yield made
    made.close()


def attempt(box: Box, script: str = "true") -> tuple[int, str]:
    """Create and run; the exit code and everything that was said. Being refused is a good answer, too."""
    result = box.run("sh", "-c", script)
    box.call("delete", "--force", box.name)
    return result.code, result.out + result.err
