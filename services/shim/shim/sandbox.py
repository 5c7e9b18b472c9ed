"""A sandbox: what the containers of one shim stand on.

With a process in its spec it is a container of its own that holds the namespaces for the others (a pod's pause), without
one it is the group alone, and the shim's process stands for it. It is no task: the task service does not know it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal as signals
import time

from shim.exits import Exit
from shim.loop import Future
from shim.process import Phase
from wire.errors import EngineError, FailedPrecondition, InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from shim.container import Container, Mounts
    from shim.loop import Loop
    from shim.record import ContainerRecord
    from wire.codec import Message

_NAME: Final = "sandbox.json"


class Sandbox:
    """One sandbox; ``container`` is None for one without a process. Times are nanoseconds since 1970."""

    def __init__(
        self,
        loop: Loop,
        *,
        sandbox_id: str,
        bundle: str,
        socket: str,
        container: Container | None,
        created_at: int = 0,
    ) -> None:
        self._loop = loop
        self.sandbox_id = sandbox_id
        self.bundle = bundle
        self._socket = socket
        self.container = container
        self.created_at = created_at or time.time_ns()
        self._started = False
        self._ended: Future[Exit] = Future()

    # -- its life

    async def create(self, rootfs: Mounts) -> None:
        """Create its process, if it has one. Leaves nothing after a failure."""
        # Before there is anything to find, so that whoever finds it knows what it is.
        self._remember()
        if self.container is None:
            return
        try:
            process = await self.container.create(
                rootfs=rootfs, terminal=False, stdin="", stdout="", stderr=""
            )
        except BaseException:
            forget(self.bundle)
            raise
        process.announced.set(None)

    async def start(self) -> None:
        """Let it run; raises FailedPrecondition if it does or did."""
        if self._started:
            raise FailedPrecondition(f"sandbox {self.sandbox_id} was started before")
        if self.container is not None:
            (await self.container.start()).announced.set(None)
        self._started = True
        self._remember()

    async def stop(self, timeout: int) -> None:
        """End it: SIGKILL, after ``timeout`` seconds in which SIGTERM may do. Harmless if it has ended."""
        if self.container is None:
            if not self._ended.done:
                self._ended.set(Exit(0, time.time_ns()))
                self._remember()
            return
        await self._signal(signals.SIGTERM if timeout else signals.SIGKILL)
        if timeout:
            self._loop.later(timeout, lambda: self._loop.start(self._signal(signals.SIGKILL)))
        await self.ended

    async def _signal(self, number: int) -> None:
        # It may have ended, also since it was looked at.
        with contextlib.suppress(EngineError):
            await self._process_container().kill("", number, everything=False)

    async def delete(self) -> None:
        """Take it away, also if it runs."""
        await self.stop(0)
        if self.container is not None:
            await self.container.delete("")
        forget(self.bundle)

    # -- what is known of it

    @property
    def ended(self) -> Future[Exit]:
        """Its end."""
        return self._ended if self.container is None else self.container.process("").exited

    @property
    def exit(self) -> Exit | None:
        """How it ended."""
        return self.ended.result() if self.ended.done else None

    @property
    def ready(self) -> bool:
        """Whether it runs."""
        return self._started and not self.ended.done

    @property
    def living(self) -> bool:
        """Whether it must be kept: it was not stopped."""
        return not self.ended.done

    @property
    def pid(self) -> int:
        """Its process, the shim where it has none, 0 after its end."""
        if not self.living:
            return 0
        return os.getpid() if self.container is None else self.container.process("").pid

    def metrics(self) -> Message:
        """What its own process uses; raises FailedPrecondition if it has none."""
        return self._process_container().metrics()

    def _process_container(self) -> Container:
        if self.container is None:
            raise FailedPrecondition(f"sandbox {self.sandbox_id} has no process of its own")
        return self.container

    # -- for the next shim, if this one is killed

    def _remember(self) -> None:
        document: dict[str, Any] = {
            "sandbox_id": self.sandbox_id,
            "socket": self._socket,
            "created_at": self.created_at,
            "started": self._started,
            "process": self.container is not None,
            "ended_at": self._ended.result().at if self._ended.done else 0,
        }
        path = f"{self.bundle}/{_NAME}"
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(document, file)
        os.rename(f"{path}.new", path)

    async def resume(self, found: dict[str, Any], known: ContainerRecord | None) -> None:
        """Go on with what another shim has remembered; raises NotFound for a process that never was."""
        self._started = found["started"]
        if self.container is not None and known is not None:
            await self.container.adopt(known)
            # It may have been let run just before the shim was killed.
            self._started = self._started or self.container.process("").phase is not Phase.CREATED
        elif found["ended_at"]:
            self._ended.set(Exit(0, found["ended_at"]))


def load(bundle: str) -> dict[str, Any] | None:
    """What a shim has remembered of the sandbox in a bundle; None if it is none."""
    try:
        with open(f"{bundle}/{_NAME}", encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        return None
    return found


def forget(bundle: str) -> None:
    """The sandbox is deleted."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{bundle}/{_NAME}")


def prepare(bundle: str, netns_path: str, annotations: dict[str, str]) -> bool:
    """Put what a creation says beside the spec into the bundle's spec; whether that has a process.

    Raises InvalidArgument for a spec that is none.
    """
    path = f"{bundle}/config.json"
    try:
        with open(path, "rb") as file:
            spec: dict[str, Any] = json.load(file)
        args = (spec.get("process") or {}).get("args")
        if args and spec["process"].get("terminal"):
            raise InvalidArgument("the process of a sandbox cannot have a terminal")
        if netns_path:
            spaces = spec.setdefault("linux", {}).setdefault("namespaces", [])
            spaces[:] = [each for each in spaces if each["type"] != "network"]
            spaces.append({"type": "network", "path": netns_path})
        if annotations:
            spec["annotations"] = {**(spec.get("annotations") or {}), **annotations}
    except FileNotFoundError:
        return False
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise InvalidArgument(f"the spec of the sandbox is malformed: {error}") from error
    if netns_path or annotations:
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(spec, file)
        os.rename(f"{path}.new", path)
    return bool(args)
