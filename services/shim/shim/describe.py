"""``-info``: what this shim and the runtime behind it can do, for clients that ask before they create anything."""

from __future__ import annotations

import json
import subprocess

from shim import options
from shim.messages import name
from wire.gen.containerd.types.introspection_msg import RuntimeInfo, RuntimeVersion
from wire.gen.containerd.types.runc.options.oci_msg import Options
from wire.gen.google.protobuf.any_msg import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

_NAME: Final = "io.containerd.dockyard.v1"
_FEATURES: Final = "types.containerd.io/opencontainers/runtime-spec/1/features/Features"


def runtime(given: bytes, version: str) -> bytes:
    """A RuntimeInfo for the options in ``given`` (an Any, or nothing); without features if the runtime cannot tell them."""
    packed = Any.FromString(given)
    binary = ""
    if name(packed) == Options.NAME:
        binary = Options.FromString(packed.value).binary_name
    info = RuntimeInfo(name=_NAME, version=RuntimeVersion(version=version))
    if packed.type_url:
        info.options = packed
    done = subprocess.run(
        [options.resolve("", binary_name=binary).binary, "features"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode == 0:
        features = json.dumps(json.loads(done.stdout), separators=(",", ":")).encode()
        info.features = Any(type_url=_FEATURES, value=features)
    return info.SerializeToString()
