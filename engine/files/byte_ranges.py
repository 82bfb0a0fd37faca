"""What a source of bytes offers, and pieces of one held in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Protocol

Range = tuple[int, int]
"""Offset and length."""


class RangeSource(Protocol):
    """Something with byte ranges, which several threads may ask for at the same time.

    ``size`` is None where only reading to the end would tell; ``seeks_cheaply`` is whether many small
    reads cost no more than one large one.
    """

    size: int | None
    seeks_cheaply: bool

    def read_ranges(self, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes at each range; shorter where the file ends before."""

    def close(self) -> None:
        """Give back what the source holds open."""


class ByteSource(RangeSource, Protocol):
    """A source that may be told beforehand what will be read of it, and what will not."""

    def hold(self, ranges: Sequence[Range]) -> None:
        """Fetch ranges that will be read, in as few requests as suit."""

    def release(self, ranges: Sequence[Range]) -> None:
        """Give back the memory of what :meth:`hold` holds of ranges, and of what came with them."""

    @property
    def held_bytes(self) -> int:
        """Bytes of the file in memory."""

    def skip(self, offset: int, length: int) -> None:
        """Say that a range will not be read."""


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
        """Keep ``data``, which begins at ``offset``; of two that begin there the longer is kept."""
        if len(data) <= len(self._data.get(offset, b"")):
            return
        if offset not in self._data:
            self._offsets.insert(bisect_right(self._offsets, offset), offset)
        self._data[offset] = data

    def remove(self, offset: int, length: int) -> None:
        """Forget all pieces that have bytes of a range."""
        for first in list(self._offsets):
            if first < offset + length and offset < first + len(self._data[first]):
                self._offsets.remove(first)
                del self._data[first]

    def read(self, offset: int, length: int) -> bytes | None:
        """The bytes of a range that lies in one piece, or in several that follow each other; else None."""
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
