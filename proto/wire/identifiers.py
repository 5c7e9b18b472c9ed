"""Rules for ids and labels, as containerd enforces them (pkg/identifiers, pkg/labels)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from wire.errors import InvalidArgument

MAX_LENGTH: Final = 76
MAX_LABEL_LENGTH: Final = 4096

_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*")


def validate(identifier: str) -> str:
    """Return ``identifier`` if it is a valid containerd id, else raise InvalidArgument."""
    if not identifier:
        raise InvalidArgument("identifier must not be empty: invalid argument")
    if len(identifier) > MAX_LENGTH:
        raise InvalidArgument(
            f'identifier "{identifier}" greater than maximum length ({MAX_LENGTH} characters): '
            "invalid argument"
        )
    if _IDENTIFIER.fullmatch(identifier) is None:
        raise InvalidArgument(
            f'identifier "{identifier}" must match ^{_IDENTIFIER.pattern}$: invalid argument'
        )
    return identifier


def validate_labels(labels: Mapping[str, str]) -> None:
    """Raise InvalidArgument if a label's key and value together are too long."""
    for key, value in labels.items():
        total = len(key.encode()) + len(value.encode())
        if total > MAX_LABEL_LENGTH:
            raise InvalidArgument(
                f"label key and value length ({total} bytes) greater than maximum size "
                f"({MAX_LABEL_LENGTH} bytes), key: {key[:64]}: invalid argument"
            )
