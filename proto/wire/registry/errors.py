"""What goes wrong with a registry. gRPC's code and HTTP's status for it are the originals', which have no better class."""

from __future__ import annotations

from wire.errors import Unknown


class RegistryFailed(Unknown):
    """It breaks off, or answers with an error of its own."""


class Unreachable(RegistryFailed):
    """No connection, in the words of Docker; containerd's have more in front."""
