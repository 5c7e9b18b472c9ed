"""What a sandbox's manager does when its shim refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from containerd.events.exchange import Exchange
from containerd.tasks.sandboxes import Sandbox, SandboxManager
from wire import namespaces
from wire.errors import FailedPrecondition, NotFound
from wire.gen.shim.sandbox.v1 import sandbox_pb2 as pb


class _Sandbox(Sandbox):
    """Its shim refuses to start it, and says in which state it is."""

    state = ""

    async def call(self, method: str, *_: Any, **__: Any) -> Any:
        if method == "StartSandbox":
            raise FailedPrecondition("refused")
        if method == "SandboxStatus":
            return pb.SandboxStatusResponse(state=self.state)
        return pb.WaitSandboxResponse()


@pytest.mark.parametrize(("state", "kept"), [("SANDBOX_READY", True), ("SANDBOX_NOTREADY", False)])
async def test_only_what_never_ran_is_gone_after_a_start_that_failed(
    tmp_path: Path, state: str, kept: bool
) -> None:
    """After a restart of the daemon a client starts again what runs: nobody but the shim knows that yet."""

    class Starter:
        async def clean(self, *_: Any) -> None: ...

        def forget(self, *_: Any) -> None: ...

    manager = SandboxManager(str(tmp_path), Starter(), Exchange())  # type: ignore[arg-type]
    sandbox = _Sandbox("default", "pod", str(tmp_path / "pod"))
    sandbox.state = state
    Path(sandbox.bundle).mkdir()
    manager._sandboxes["default", "pod"] = sandbox
    with pytest.raises(FailedPrecondition):
        await manager.start(sandbox)
    with namespaces.bind("default"):
        if kept:
            assert manager.find("pod") is sandbox
        else:
            with pytest.raises(NotFound):
                manager.find("pod")
    assert Path(sandbox.bundle).exists() == kept
