"""dockerd's listener, when its file has hosts of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from dockyard.daemons import hosts
from wire.errors import InvalidArgument


@pytest.mark.parametrize(
    "text", [None, "", "{}", "[]", "nonsense", '{"hosts": []}', '{"debug": true}']
)
def test_our_listener_by_default(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "daemon.json"
    if text is not None:
        file.write_text(text)
    assert hosts(str(file)) == ("-H", "fd://")


def test_hosts_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "daemon.json"
    file.write_text('{"hosts": ["fd://", "tcp://127.0.0.1:2376"]}')
    assert hosts(str(file)) == ()
    file.write_text('{"hosts": ["tcp://127.0.0.1:2376"]}')
    with pytest.raises(InvalidArgument, match="hosts must have fd://"):
        hosts(str(file))
