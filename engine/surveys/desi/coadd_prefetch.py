"""Prefetch plan of a DESI coadd: where things lie in it, by its size and its first headers.

Over a network every look takes tens of milliseconds, and a coadd has nineteen headers, each of which says
where the next one is. But DESI's pipeline writes them in one order (desispec.io.write_spectra), and how
long the images are follows from the number of targets. So what will be read is fetched together from
where it should be, and the scan of the headers, which trusts nothing, finds it in memory. Where a file is
different it finds less there, and fetches the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from engine.files.byte_ranges import Range
from engine.files.fits_headers import BLOCK, HEADER_READ, HeaderDataUnit, PrefetchPlan, padded, row_range
from engine.files.row_windows import window_rows
from engine.surveys.desi.arms import ARMS, Arm
from engine.surveys.desi.exposure_table import EXPOSURES

_DIAGONALS = 11  # of the resolution matrices, in all public productions
_IMAGES = ("FLUX", "IVAR", "MASK")
_TABLE_HEADER = 6 * BLOCK


def prefetch_coadd(start: int, stop: int) -> PrefetchPlan:
    """The plan for a reader of rows ``start`` to ``stop`` of a coadd; none of them for the headers alone.

    Of more rows than a window of :mod:`engine.files.row_windows` holds, the first window is prefetched.
    """

    def plan(units: Sequence[HeaderDataUnit], size: int | None) -> list[Range]:
        last, names = units[-1], [unit.name for unit in units]
        if "FIBERMAP" not in names or size is None:
            return []
        targets = units[names.index("FIBERMAP")]
        if last is targets:
            end = min(stop, start + _window(targets, ARMS))
            return [row_range(targets, start, end), (last.end, _TABLE_HEADER)]
        if last.name == EXPOSURES:
            exposures = [row_range(last, 0, last.rows)] if stop > start else []
            return [*exposures, *_arms(last.end, targets, size, start, stop)]
        return []

    return plan


def _window(targets: HeaderDataUnit, arms: Sequence[Arm]) -> int:
    return window_rows(targets.row_bytes + len(_IMAGES) * sum(4 * arm.size for arm in arms))


def _arms(position: int, targets: HeaderDataUnit, size: int, start: int, stop: int) -> list[Range]:
    """The headers of all arms from ``position``, and rows of their images."""
    count = targets.rows
    for arms, diagonals in _kinds():
        last = min(stop, start + _window(targets, arms))
        ranges, end = _places(position, count, arms, diagonals, start, last)
        # Behind the arms lies SCORES, 200 bytes a target, or nothing.
        if 0 <= size - end <= 8 * BLOCK + 400 * count:
            return [*ranges, (end, HEADER_READ)]
    return []


def _kinds() -> Iterator[tuple[tuple[Arm, ...], int]]:
    """Arms and diagonals of their resolution matrices (0 for none), the usual first."""
    for number in (3, 2, 1):
        for arms in combinations(ARMS, number):
            for diagonals in (_DIAGONALS, 0):
                yield arms, diagonals


def _places(
    position: int, count: int, arms: tuple[Arm, ...], diagonals: int, start: int, stop: int
) -> tuple[list[Range], int]:
    ranges: list[Range] = []
    for arm in arms:
        ranges.append((position, HEADER_READ))
        position += BLOCK + padded(8 * arm.size)
        for _ in _IMAGES:
            data, row = position + BLOCK, 4 * arm.size
            ranges += [(position, HEADER_READ), (data + start * row, (stop - start) * row)]
            position = data + padded(count * row)
        if diagonals:
            ranges.append((position, HEADER_READ))
            position += BLOCK + padded(4 * count * diagonals * arm.size)
    return ranges, position
