"""Windows of rows of a file over a network: rows are prefetched by windows and read in smaller pieces."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

from engine.files.fits_file import FitsFile
from engine.files.fits_headers import HeaderDataUnit

WINDOW_BYTES = 64 << 20
"""Size of a window: about 700 spectra of a DESI coadd, 1200 of an SDSS plate."""


def window_rows(row_bytes: int) -> int:
    """Rows of a window, of so many bytes each."""
    return max(1, WINDOW_BYTES // max(row_bytes, 1))


class RowWindows:
    """Rows of several HDUs of a file whose requests are slow, in windows of :data:`WINDOW_BYTES`.

    The window that is read and the one before it stay in memory: at most 128 MiB for each open file. A file
    on a disk is read without windows.

    Parameters
    ----------
    units : the HDUs of which rows will be read together.
    start, stop : the rows that will be read.
    """

    def __init__(self, file: FitsFile, units: Sequence[HeaderDataUnit], start: int, stop: int) -> None:
        self._file, self._units = file, units
        self._start, self._stop = start, stop
        self._rows = window_rows(sum(unit.row_bytes for unit in units))
        self._prefetched: list[int] = []
        self._lock = threading.Lock()

    def pieces(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Rows ``start`` to ``stop`` in pieces; each is in memory when it is yielded."""
        if self._file.seeks_cheaply:
            yield start, stop
            return
        while start < stop:
            number = (start - self._start) // self._rows
            self._prefetch(number)
            end = min(stop, self._start + (number + 1) * self._rows)
            yield start, end
            start = end

    def _prefetch(self, number: int) -> None:
        with self._lock:  # a thread that wants the same window waits for it
            if number in self._prefetched:
                return
            while len(self._prefetched) > 1:
                self._file.drop_rows(self._units, *self._bounds(self._prefetched.pop(0)))
            self._file.prefetch_rows(self._units, *self._bounds(number))
            self._prefetched.append(number)

    def _bounds(self, number: int) -> tuple[int, int]:
        first = self._start + number * self._rows
        last = min(first + self._rows, self._units[0].rows)
        return max(first, 0), self._stop if first < self._stop < last else last
