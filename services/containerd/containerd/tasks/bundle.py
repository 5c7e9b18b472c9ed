"""The folder in which a shim is started: the specification, and where the root file system goes."""

from __future__ import annotations

import json
import os
import shutil
from typing import Any, Final

from wire.atomic import ensure_directory

# -1 leaves an owner alone.
_SAME: Final = -1


def make_bundle(bundle: str, spec: bytes) -> None:
    """Make a bundle anew, with ``spec`` as its config.json unless that is empty.

    Other users of the host must not reach it: the specification has the secrets of an environment, the root file system
    programs with the setuid bit (CVE-2021-41103). Only the group that is root in the container's user namespace may pass.
    """
    ensure_directory(os.path.dirname(bundle), 0o711)
    # Of a creation that was cut short; nobody else has this id.
    shutil.rmtree(bundle, ignore_errors=True)
    os.mkdir(bundle, 0o700)
    group = _root_group(spec)
    if group:
        os.chown(bundle, _SAME, group)
        os.chmod(bundle, 0o710)  # noqa: S103 - the container's own root
    os.mkdir(f"{bundle}/rootfs", 0o711)
    if spec:
        with open(f"{bundle}/config.json", "wb") as file:
            file.write(spec)


def _root_group(spec: bytes) -> int:
    """The host's number of the container's group 0; 0 without a mapping, and for what the runtime will refuse."""
    try:
        document: Any = json.loads(spec or b"{}")
        mappings = document["linux"]["gidMappings"]
        found = [each["hostID"] for each in mappings if each.get("containerID", 0) == 0]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0
    group = found[0] if found else 0
    # The last number means "leave alone" to the kernel.
    return group if isinstance(group, int) and 0 < group < (1 << 32) - 1 else 0
