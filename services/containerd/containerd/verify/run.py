"""The command: everything is looked at, one finding a line as JSON, and the exit status says whether all is well."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterator

from containerd.config import Config
from containerd.verify import accounts, blobs, layers
from containerd.verify.findings import Finding
from containerd.verify.store import read


def run(config: Config) -> int:
    """0, or 1 if there is a problem that was not repaired. Raises as ``store.read``."""
    worst = 0
    for finding in examine(config):
        sys.stdout.write(f"{json.dumps(dataclasses.asdict(finding))}\n")
        sys.stdout.flush()
        worst |= finding.level == "problem"
    return int(worst)


def examine(config: Config) -> Iterator[Finding]:
    """Blobs first: a layer that was fetched again is what its snapshot is compared with."""
    overlay = config.settings.overlay_root or os.path.join(config.root, "overlayfs")
    native = config.settings.native_root or os.path.join(config.root, "native")
    store = read(config.root, overlay, native)
    repair = config.command == "repair"
    if config.command != "account":
        yield from blobs.verify(store, repair=repair, hosts_dir=config.settings.hosts_dir)
        yield from layers.verify(store, repair=repair)
    yield from accounts.verify(read(config.root, overlay, native))
