"""Archives between dockerd's client of transfers and containerd: through a FIFO, and in messages where that cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.containerd import Containerd
from tests.support.images import docker_archive, layer

from dockerd.config import Config, LiveConfig
from dockerd.containerd_client.client import Containerd as Client
from dockerd.images import pipe as pipes
from dockerd.images.load import Loader
from dockerd.images.save import Saver
from dockerd.images.transfer import Transfers


class Silent:
    """Nobody listens to these events."""

    def publish(self, *_: object) -> None:
        """Nothing."""


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 100_000):
        yield data[at : at + 100_000]


@pytest.mark.parametrize("usable", [True, False])
def test_archive_in_and_out(
    containerd: Containerd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, usable: bool
) -> None:
    if not usable:
        header = pipes.Pipe.header.fget  # type: ignore[attr-defined]
        monkeypatch.setattr(
            pipes.Pipe, "header", property(lambda self: (header(self)[0], b"/nowhere/else"))
        )
    data = docker_archive("piped:1", [layer({"blob": bytes(3_000_000)}), layer({"one": b"1"})])
    folder = tmp_path / "pipes"

    async def run() -> tuple[list[str], bytes]:
        client = Client(str(containerd.address))
        config = Config(data_root="", exec_root="", hosts=(), containerd=str(containerd.address))
        transfers = Transfers(client, str(folder), LiveConfig(config))
        loader = Loader(transfers, None, Silent(), str(tmp_path))  # type: ignore[arg-type]
        told = [each["stream"] async for each in loader.load(_pieces(data))]
        saver = Saver(None, transfers)  # type: ignore[arg-type]
        archive = await saver.save(["docker.io/library/piped:1"], None)
        saved = b"".join([each async for each in archive])
        await client.close()
        return told, saved

    told, saved = asyncio.run(run())
    assert told == ["Loaded image: piped:1\n"]
    assert bytes(3_000_000) in saved
    assert b"manifest.json" in saved
    assert list(folder.iterdir()) == []
