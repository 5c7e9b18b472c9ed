"""A set of small integers that finds its lowest free member fast."""

from __future__ import annotations


class Bitmap:
    """The integers of range(size), each taken or free.

    One arbitrary-precision integer: a /16 is 8 KB, and lowest-free-bit is two word-parallel operations.
    """

    __slots__ = ("_free", "_size")

    def __init__(self, size: int) -> None:
        if size < 0:
            raise ValueError(f"bitmap of negative size {size}")
        self._size = size
        self._free = (1 << size) - 1

    @property
    def size(self) -> int:
        """How many members there are."""
        return self._size

    @property
    def free(self) -> int:
        """How many members are free."""
        return self._free.bit_count()

    def __contains__(self, member: int) -> bool:
        """Whether a member is taken."""
        return 0 <= member < self._size and not self._free >> member & 1

    def take(self, member: int) -> bool:
        """Take a given member; False if it is taken already."""
        if not 0 <= member < self._size:
            raise IndexError(member)
        bit = 1 << member
        if not self._free & bit:
            return False
        self._free ^= bit
        return True

    def take_lowest(self, first: int = 0, end: int | None = None) -> int | None:
        """Take the lowest free member in range(first, end); None if there is none."""
        window = self._free >> first << first
        lowest = (window & -window).bit_length() - 1
        if lowest < 0 or (end is not None and lowest >= end):
            return None
        self._free ^= 1 << lowest
        return lowest

    def release(self, member: int) -> None:
        """Give a member back; harmless if it is free."""
        if 0 <= member < self._size:
            self._free |= 1 << member
