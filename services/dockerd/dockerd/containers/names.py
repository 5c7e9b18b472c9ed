"""Names of containers: which are allowed, and one for a container that was given none."""

from __future__ import annotations

import re
import secrets
from typing import Final

from dockerd.containers.errors import InvalidName
from dockerd.containers.store import ContainerStore

_ALLOWED: Final = re.compile(r"/?[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_ADJECTIVES: Final = (
    "brave", "calm", "eager", "gentle", "happy", "keen", "lucid", "noble", "quick", "sunny", "vivid", "wise",
)  # fmt: skip
_NOUNS: Final = (
    "anchor", "beacon", "crane", "dock", "ferry", "gantry", "harbor", "jetty", "keel", "mast", "pier", "tug",
)  # fmt: skip


def checked(name: str) -> str:
    """The name without its slash; raises InvalidName."""
    if not _ALLOWED.fullmatch(name):
        raise InvalidName(name)
    return name.removeprefix("/")


def random_name(store: ContainerStore) -> str:
    """A name that no container has."""
    while True:
        name = f"{secrets.choice(_ADJECTIVES)}_{secrets.choice(_NOUNS)}{secrets.randbelow(1000)}"
        if not store.has_name(name):
            return name
