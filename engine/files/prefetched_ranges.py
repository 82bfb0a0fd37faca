"""Prefetched ranges of a file over a network: many are fetched at a time and kept until they are dropped."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from engine.files.byte_ranges import Range, RangeSource, Segments

FIRST_READ = 64 << 10
"""Bytes fetched when a file is opened: in most files the first two headers."""

SMALL_FILE = 512 << 10
"""Largest file in bytes that is fetched whole when it is opened."""

_GAP = 64 << 10  # bytes that take less time than another request

_LONGEST = 32 << 20  # more bytes come faster by several requests at a time


class PrefetchedRanges:
    """A source whose requests are slow, read through what was prefetched.

    What was not prefetched is fetched when it is read, and not kept.
    """

    seeks_cheaply = False

    def __init__(self, source: RangeSource) -> None:
        self._source = source
        self._segments = Segments()
        self._lock = threading.Lock()

    @property
    def size(self) -> int | None:
        """Bytes of the content; None where it is known only at the end."""
        return self._source.size

    def read_ranges(self, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes at each range; shorter where the content ends before."""
        within = [self._within(one) for one in ranges]
        with self._lock:
            found = [self._segments.read(*one) for one in within]
        missing = iter(
            self._source.read_ranges([one for one, data in zip(within, found, strict=True) if data is None])
        )
        return [next(missing) if data is None else data for data in found]

    def prefetch(self, ranges: Sequence[Range]) -> None:
        """Fetch together what of ``ranges`` is not in memory; close ones share a request."""
        with self._lock:
            wanted = [one for one in map(self._within, ranges) if self._segments.read(*one) is None]
        merged = _merged(wanted)
        for (offset, _), data in zip(merged, self._source.read_ranges(merged), strict=True):
            with self._lock:
                self._segments.add(offset, data)

    def drop(self, ranges: Sequence[Range]) -> None:
        """Free the memory of ranges, and of what shared a request with them."""
        with self._lock:
            for one in ranges:
                self._segments.remove(*one)

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of the file in memory."""
        with self._lock:
            return self._segments.size

    def skip(self, offset: int, length: int) -> None:
        """Nothing to do: what nobody asks for is not fetched."""

    def close(self) -> None:
        """Close the source."""
        self._source.close()

    def _within(self, one: Range) -> Range:
        offset, length = one
        return (offset, length if self.size is None else max(0, min(length, self.size - offset)))


def _merged(ranges: Sequence[Range]) -> list[Range]:
    """Ranges in order: close ones are joined, long ones are cut."""
    merged: list[list[int]] = []
    for offset, length in sorted(ranges):
        if merged and offset <= merged[-1][1] + _GAP:
            merged[-1][1] = max(merged[-1][1], offset + length)
        elif length:
            merged.append([offset, offset + length])
    return [
        (place, min(_LONGEST, end - place)) for start, end in merged for place in range(start, end, _LONGEST)
    ]
