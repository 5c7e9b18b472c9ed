"""What programs say of themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path

from dockerd.system.programs import Programs, Version


def program(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\necho asked >>{path}.log\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_versions(tmp_path: Path) -> None:
    runtime = program(tmp_path / "a", "printf 'runc version 1.1.5\\ncommit: abc\\nspec: 1.0.2\\n'")
    init = program(tmp_path / "b", "echo tini version 0.19.0 - git.de40ad0")
    ours = program(tmp_path / "c", "printf 'x version 0.1.0\\ncommit: unknown\\n'")
    failing = program(tmp_path / "d", "echo version 1; exit 3")

    async def ask() -> None:
        programs = Programs()
        for _ in range(2):
            found = await programs.version(runtime)
            assert found == Version(version="1.1.5", commit="abc", spec="1.0.2")
        assert await programs.version(init) == Version(version="0.19.0", commit="de40ad0")
        told = await programs.version(ours)
        assert told is not None
        assert told.revision == "0.1.0"
        assert await programs.version(failing) is None
        assert await programs.version("/no/such") is None

    asyncio.run(ask())
    assert (tmp_path / "a.log").read_text() == "asked\n"


def test_what_a_runtime_can(tmp_path: Path) -> None:
    able = program(tmp_path / "a", 'echo \'{"ociVersionMax": "1.3.0"}\'')
    old = program(tmp_path / "b", "echo what")

    async def ask() -> None:
        programs = Programs()
        found = await programs.status(able)
        assert found == {"org.opencontainers.runtime-spec.features": '{"ociVersionMax": "1.3.0"}'}
        assert await programs.status(old) == {}

    asyncio.run(ask())
