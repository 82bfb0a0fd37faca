"""What a row says about the quality of its spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SAMPLED = 2048  # values from which sampling pays
_SAMPLE = 256  # values looked at
_MARGIN = 32  # ranks to either side of the sample's median: four standard deviations


def median_snr(flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median of flux * sqrt(ivar) over pixels with ivar > 0, per row; NaN where there are none.

    ``flux`` and ``ivar`` have shape (n, pixels) and are finite.
    """
    snr = np.full(len(flux), np.nan, dtype=np.float32)
    for row, (values, weights) in enumerate(zip(flux, ivar, strict=True)):
        ratio = np.sqrt(weights)
        with np.errstate(over="ignore"):
            ratio *= values
        good = weights > 0
        count = int(np.count_nonzero(good))
        if count:
            snr[row] = _median(ratio if count == len(ratio) else ratio[good])
    return snr


def _median(values: NDArray[np.float32]) -> float:
    """The median, found among the few values that a sample brackets (Floyd & Rivest 1975)."""
    count = len(values)
    half = count // 2
    if count >= _SAMPLED:
        sample = np.sort(values[:: count // _SAMPLE])
        middle = len(sample) // 2
        low, high = sample[middle - _MARGIN], sample[middle + _MARGIN]
        below = int(np.count_nonzero(values < low))
        between = values[(values >= low) & (values <= high)]
        if below < half and half < below + len(between):
            values, half = between, half - below
    if count % 2:
        return float(np.partition(values, half)[half])
    pair = np.partition(values, (half - 1, half))[half - 1 : half + 1]
    return 0.5 * (float(pair[0]) + float(pair[1]))


def good_fraction(ivar: NDArray[np.float32]) -> NDArray[np.float32]:
    """Share of a row's pixels with ivar > 0. Shape (n,) for ``ivar`` of shape (n, pixels)."""
    share: NDArray[np.float64] = np.count_nonzero(ivar, axis=1) / np.float64(ivar.shape[1])
    return share.astype(np.float32)
