"""The native snapshotter: each snapshot is a whole copy of the one below. For file systems that overlayfs cannot stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar, Final

from containerd.snapshots.copy import copy_tree
from containerd.snapshots.overlay import Kind, Mount, OverlaySnapshotter
from wire.errors import FailedPrecondition, InvalidArgument

SNAPSHOTTER: Final = "native"


class NativeSnapshotter(OverlaySnapshotter):
    """As the overlay's, but for what a snapshot's directory holds, and so how it is mounted."""

    name: ClassVar[str] = SNAPSHOTTER

    async def _fill(self, directory: str, parent: str, kind: Kind) -> None:
        info = await self.stat(parent)
        if info.kind is not Kind.COMMITTED:
            raise InvalidArgument(f'parent "{parent}" is not committed snapshot: invalid argument')
        if kind is Kind.VIEW:
            return
        try:
            await asyncio.to_thread(copy_tree, self.upper(info.number), directory)
        except OSError as error:
            raise FailedPrecondition(f"copying of parent failed: {error}") from error

    def _mounts(self, chain: Sequence[int], kind: Kind) -> Sequence[Mount]:
        if kind is Kind.VIEW:
            # The parent itself: nobody writes to either.
            return [Mount("bind", self.upper(chain[:2][-1]), ("rbind", "ro"))]
        return [Mount("bind", self.upper(chain[0]), ("rbind", "rw"))]
