"""Partitions of the sky: HEALPix cells that hold a bounded number of rows each, as HATS has them.

The rule is that of HATS (https://www.ivoa.net/documents/Notes/HATS/): a cell with too many rows is split in
four, until none has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INDEX_ORDER = 29
"""Order of the cells in a column ``_healpix_29``."""

_LAST_ORDER = 14
"""No cell is split further: 13 arcseconds. What lies together there stays together."""


@dataclass(frozen=True, slots=True)
class SkyPartition:
    """A HEALPix cell, nested, and the number of rows in it."""

    order: int
    pixel: int
    rows: int

    @property
    def start(self) -> int:
        """Its first cell of order 29."""
        return self.pixel << 2 * (INDEX_ORDER - self.order)

    @property
    def stop(self) -> int:
        """The cell of order 29 behind its last."""
        return (self.pixel + 1) << 2 * (INDEX_ORDER - self.order)

    @property
    def path(self) -> str:
        """Where HATS puts its file, below the directory ``dataset``."""
        folder = self.pixel // 10_000 * 10_000
        return f"Norder={self.order}/Dir={folder}/Npix={self.pixel}.parquet"


def sky_partitions(cells: NDArray[np.int64], most: int) -> list[SkyPartition]:
    """The coarsest cells with at most so many rows that hold all of them, in the order of their places.

    Parameters
    ----------
    cells : (n,) cells of order 29 of the rows, ascending.
    """
    return [part for base in range(12) for part in _split(cells, most, 0, base)]


def _split(cells: NDArray[np.int64], most: int, order: int, pixel: int) -> Iterator[SkyPartition]:
    one = SkyPartition(order, pixel, 0)
    first, stop = np.searchsorted(cells, [one.start, one.stop]).tolist()
    if stop - first > most and order < _LAST_ORDER:
        for child in range(4 * pixel, 4 * pixel + 4):
            yield from _split(cells[first:stop], most, order + 1, child)
    elif stop > first:
        yield SkyPartition(order, pixel, stop - first)


def neighbours_together(partitions: Sequence[SkyPartition], most: int) -> Iterator[list[SkyPartition]]:
    """Partitions in their order, as many at once as hold so many rows; at least one."""
    together: list[SkyPartition] = []
    for each in partitions:
        if together and sum(one.rows for one in together) + each.rows > most:
            yield together
            together = []
        together.append(each)
    if together:
        yield together
