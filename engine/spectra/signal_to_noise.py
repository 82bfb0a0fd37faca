"""What a row says about the quality of its spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROWS = 16  # spectra looked at together: they stay in a core's cache
_SAMPLED = 2048  # values from which sampling pays
_SAMPLE = 512  # values looked at
_MARGIN = 12  # places in the sample beyond where the median should be
_INFINITY = np.float32(np.inf).view(np.int32)


def median_snr(flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median of flux * sqrt(ivar) over pixels with ivar > 0, per row; NaN where there are none.

    ``flux`` and ``ivar`` have shape (n, pixels) and are finite.
    """
    snr = np.full(len(flux), np.nan, dtype=np.float32)
    for first in range(0, len(flux), _ROWS):
        rows = slice(first, first + _ROWS)
        ratio = np.sqrt(ivar[rows])
        bad = ivar[rows] == 0
        with np.errstate(over="ignore"):
            ratio *= flux[rows]
        # Pixels that do not count become the largest: plus infinity, the others plus 0.
        ratio += (bad * _INFINITY).view(np.float32)
        for row, values in enumerate(ratio):
            if count := len(values) - int(np.count_nonzero(bad[row])):
                snr[first + row] = _median(values, count)
    return snr


def _median(values: NDArray[np.float32], count: int) -> float:
    """The median of the ``count`` smallest values, found among the few between two of a sample.

    The sample's value where the median should be is compared with all others, which tells how many
    places the median is away, and on which side (after Floyd & Rivest 1975, CACM 18, 165). The order of
    ``values`` is lost.
    """
    half = count // 2
    lowest = half - 1 + count % 2  # the median is the mean of the values of ranks lowest and half
    before = 0  # values that are smaller than those in which it is looked for
    if len(values) >= _SAMPLED:
        sample = values[:: len(values) // _SAMPLE].copy()
        sample.sort()
        per_value = len(sample) / len(values)
        middle = int(half * per_value)
        pivot = sample[middle]
        below = int(np.count_nonzero(values < pivot))
        if below <= lowest:
            upper = sample[min(middle + int((half - below) * per_value) + _MARGIN, len(sample) - 1)]
            between, start = values[(values >= pivot) & (values <= upper)], below
        else:
            lower = sample[max(middle - int((below - lowest) * per_value) - _MARGIN, 0)]
            between = values[(values >= lower) & (values <= pivot)]
            start = below - int(np.count_nonzero(between < pivot))
        if start <= lowest and half < start + len(between):
            values, before = between, start
    values.partition(half - before)
    high = float(values[half - before])
    return high if lowest == half else 0.5 * (float(values[: half - before].max()) + high)


def good_fraction(ivar: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of a row's pixels with ivar > 0. Shape (n,) for ``ivar`` of shape (n, pixels)."""
    good = [np.count_nonzero(row > 0) for row in ivar]
    share: NDArray[np.float64] = np.array(good, dtype=np.float64) / ivar.shape[1]
    return share.astype(np.float32)
