"""Byte sources: what they offer, and pieces of a file in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

Range = tuple[int, int]
"""Offset and length."""


class WholeFile(bytes):
    """All bytes of a file of which a range was asked for: the server knows no ranges."""

    __slots__ = ()


class RangeSource(Protocol):
    """A source of byte ranges; several threads may read at the same time.

    Attributes
    ----------
    seeks_cheaply : whether many small reads cost no more than one large one.
    """

    seeks_cheaply: bool

    @property
    def size(self) -> int | None:
        """Bytes of the content; None where it is known only at the end."""
        ...

    def read_ranges(self, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes at each range; shorter where the file ends before."""

    def close(self) -> None:
        """Close the source."""


class ByteSource(RangeSource, Protocol):
    """A source that prefetches what will be read and skips what will not."""

    def prefetch(self, ranges: Sequence[Range]) -> None:
        """Fetch ranges that will be read, in few requests."""

    def drop(self, ranges: Sequence[Range]) -> None:
        """Free the memory of prefetched ranges, and of what shared a request with them."""

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of the file in memory."""

    def skip(self, offset: int, length: int) -> None:
        """Do not keep a range, which will not be read."""


class Segments:
    """Pieces of a file in memory, by offset. Not for several threads at the same time."""

    def __init__(self) -> None:
        self._offsets: list[int] = []
        self._data: dict[int, bytes] = {}

    @property
    def size(self) -> int:
        """Bytes of all pieces."""
        return sum(map(len, self._data.values()))

    def add(self, offset: int, data: bytes) -> None:
        """Keep ``data``, which begins at ``offset``. Of two pieces that begin there the longer is kept."""
        if len(data) <= len(self._data.get(offset, b"")):
            return
        if offset not in self._data:
            self._offsets.insert(bisect_right(self._offsets, offset), offset)
        self._data[offset] = data

    def remove(self, offset: int, length: int) -> None:
        """Drop all pieces that have bytes of a range."""
        for first in list(self._offsets):
            if first < offset + length and offset < first + len(self._data[first]):
                self._offsets.remove(first)
                del self._data[first]

    def read(self, offset: int, length: int) -> bytes | None:
        """The bytes of a range, if one piece or several adjoining ones have them all; else None."""
        parts: list[bytes] = []
        while length > 0:
            place = bisect_right(self._offsets, offset) - 1
            if place < 0:
                return None
            first = self._offsets[place]
            part = self._data[first][offset - first : offset - first + length]
            if not part:
                return None
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
