"""Content digests (``sha256:<hex>``): parse, compute, verify while streaming."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from wire.errors import InvalidArgument

_HEX_LENGTH: Final = {"sha256": 64, "sha384": 96, "sha512": 128}
_FORM: Final = re.compile(r"([a-z0-9]+(?:[.+_-][a-z0-9]+)*):([0-9a-zA-Z=_-]+)")


def parse(text: str) -> tuple[str, str]:
    """Split a digest into (algorithm, lower-case hex).

    Raises InvalidArgument for another form, an algorithm we do not have, or a wrong length.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise InvalidArgument(f'invalid checksum digest format: "{text}"')
    algorithm, encoded = match.groups()
    length = _HEX_LENGTH.get(algorithm)
    if length is None:
        raise InvalidArgument(f'unsupported digest algorithm: "{algorithm}"')
    if len(encoded) != length or re.fullmatch(r"[0-9a-f]+", encoded) is None:
        raise InvalidArgument(f'invalid checksum digest length or characters: "{text}"')
    return algorithm, encoded


def is_valid(text: str) -> bool:
    """Whether ``text`` is a digest that ``parse`` accepts."""
    try:
        parse(text)
    except InvalidArgument:
        return False
    return True


def of(data: bytes) -> str:
    """The sha256 digest of ``data``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Hasher:
    """A running digest; also counts the bytes."""

    def __init__(self, algorithm: str = "sha256") -> None:
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm)
        self.size = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes."""
        self._hash.update(data)
        self.size += len(data)

    @property
    def digest(self) -> str:
        """The digest of what was added so far."""
        return f"{self._algorithm}:{self._hash.hexdigest()}"
