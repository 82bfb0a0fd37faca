"""Gzip files: their content by ranges, decompressed once."""

from __future__ import annotations

import gzip
import io
import threading
from collections.abc import Sequence
from typing import Any

from engine.files.byte_ranges import Range, RangeSource, Segments

_LOCAL_PIECE = 1 << 20
_REMOTE_PIECE = 16 << 20  # fetched by several requests at a time
_REQUESTS = 4


class GzipBytes:
    """Ranges of the content of a gzip file.

    The file is decompressed once, as far as is asked for. All of it stays in memory except what
    :meth:`skip` names: of a DESI coadd 100 kB per spectrum, a fifth of it.
    """

    seeks_cheaply = True

    def __init__(self, source: RangeSource) -> None:
        self._source = source
        piece = _LOCAL_PIECE if source.seeks_cheaply else _REMOTE_PIECE
        self._stream = gzip.GzipFile(fileobj=io.BufferedReader(_RawStream(source), piece))
        self._segments = Segments()
        self._position = 0
        self._skipped: list[Range] = []
        self._lock = threading.Lock()
        self.size: int | None = None

    def read_ranges(self, ranges: Sequence[Range]) -> list[bytes]:
        """The bytes at each range; shorter where the content ends before."""
        with self._lock:
            self._advance(max((offset + length for offset, length in ranges), default=0))
            return [self._read(offset, length) for offset, length in ranges]

    def prefetch(self, ranges: Sequence[Range]) -> None:
        """Nothing to do: what was decompressed stays in memory."""

    def drop(self, ranges: Sequence[Range]) -> None:
        """Nothing to do: a stream cannot be read again."""

    @property
    def bytes_in_memory(self) -> int:
        """Bytes of the file in memory."""
        with self._lock:
            return self._segments.size

    def skip(self, offset: int, length: int) -> None:
        """Do not keep a range, which will not be read."""
        with self._lock:
            self._skipped.append((offset, length))

    def close(self) -> None:
        """Close the source."""
        self._stream.close()
        self._source.close()

    def _read(self, offset: int, length: int) -> bytes:
        """A range as far as the content goes."""
        length = max(0, min(length, self._position - offset))
        data = self._segments.read(offset, length)
        if data is None:
            raise ValueError(f"bytes {offset} to {offset + length} were skipped")
        return data

    def _advance(self, end: int) -> None:
        """Decompress up to ``end``, keeping what is not to be skipped."""
        while self._position < end:
            stop, keep = end, True
            for offset, length in self._skipped:
                if offset <= self._position < offset + length:
                    stop, keep = min(stop, offset + length), False
                elif self._position < offset < stop:
                    stop = offset
            data = self._stream.read(min(stop - self._position, 1 << 26))
            if not data:
                return
            if keep:
                self._segments.add(self._position, data)
            self._position += len(data)


class _RawStream(io.RawIOBase):
    """A byte source as a stream, of which each piece comes by several requests at a time."""

    def __init__(self, source: RangeSource) -> None:
        self._source = source
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        parts = _REQUESTS if len(buffer) >= _REMOTE_PIECE else 1
        step = -(-len(buffer) // parts)
        ranges = [
            (self._position + offset, min(step, len(buffer) - offset))
            for offset in range(0, len(buffer), step)
        ]
        data = b"".join(self._source.read_ranges(ranges))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
