"""Where the short unix sockets of shims stand: both sides of such a socket must compute, or be told, the same path."""

from __future__ import annotations

import hashlib
import json
import os
from typing import Final

# sun_path holds 108 bytes with its NUL.
SOCKET_PATH_LIMIT: Final = 107
# containerd's own shims group by the first of these that a spec has.
_GROUPS: Final = ("io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id")
_LONGEST_NAME: Final = len("/s/") + 64 + len(".a")


def short_dir(state_dir: str) -> str:
    """The directory for sockets that belong to ``state_dir``.

    ``<state_dir>/s``, or ``/run/dockyard/<8 hex>`` where a socket name of 66 characters would not fit in sun_path.
    """
    path = os.path.abspath(state_dir)
    if len(os.fsencode(path)) + _LONGEST_NAME <= SOCKET_PATH_LIMIT:
        return f"{path}/s"
    return f"/run/dockyard/{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


def ensure_dir(directory: str) -> str:
    """Create a socket directory, private to root, and return it."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    return directory


def shim_socket(directory: str, grpc_address: str, namespace: str, group: str) -> str:
    """The path of the shim socket for a container (or a group of them), as containerd's shims name it."""
    joined = "/".join((grpc_address.rstrip("/"), namespace, group))
    return f"{directory}/{hashlib.sha256(joined.encode()).hexdigest()}"


def shim_group(bundle: str) -> str:
    """The group that the annotations of a bundle's spec name, whose containers share a shim; empty if there is none."""
    try:
        with open(f"{bundle}/config.json", "rb") as file:
            annotations = json.load(file).get("annotations") or {}
        return next((str(annotations[key]) for key in _GROUPS if annotations.get(key)), "")
    except (OSError, ValueError, AttributeError):
        return ""
