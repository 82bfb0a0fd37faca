"""Signal-to-noise ratio of a spectrum: the median of flux * sqrt(ivar) over its good pixels.

There are two numbers, because stores hold both and neither may change in its last digit. A row's S/N is
that of the spectrum as read, by NumPy; of an even number of pixels it is the mean of the middle two. The S/N
by which tail probabilities are taken and models are calibrated is that of the normalised spectrum, with
torch's square root, which is not always NumPy's in the last bit; it is the lower of the middle two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

_ROWS = 16  # spectra looked at together: they stay in a core's cache
_SAMPLED = 2048  # values from which sampling pays
_SAMPLE = 512  # values looked at
_MARGIN = 12  # places in the sample beyond where the median should be
_INFINITY = np.float32(np.inf).view(np.int32)


def signal_to_noise(flux: Tensor, ivar: Tensor) -> NDArray[np.float32]:
    """S/N of n normalised spectra, (n, N) twice to (n,): the lower median; NaN without good pixels.

    A pixel is good if its ``ivar`` is positive and its ratio is a number.
    """
    ratio = flux * ivar.clamp_min(0).sqrt()
    bad = (ivar <= 0) | ratio.isnan()
    values = ratio.masked_fill_(bad, np.inf).float()
    low, _ = _middle_two(values.cpu().numpy(), bad.cpu().numpy())
    return low.astype(np.float32)


def median_snr(flux: NDArray[np.float32], ivar: NDArray[np.float32]) -> NDArray[np.float32]:
    """S/N of n spectra as read, (n, N) twice to (n,): the median; NaN without good pixels.

    All values are finite, and ``ivar`` is 0 where a pixel is not good.
    """
    snr = np.empty(len(flux), dtype=np.float32)
    for first in range(0, len(flux), _ROWS):
        rows = slice(first, first + _ROWS)
        ratio = np.sqrt(ivar[rows])
        bad = ivar[rows] == 0
        with np.errstate(over="ignore", invalid="ignore"):
            ratio *= flux[rows]
            # Pixels that do not count become the largest: plus infinity, the others plus 0.
            ratio += (bad * _INFINITY).view(np.float32)
            low, high = _middle_two(ratio, bad)
            snr[rows] = 0.5 * (low + high)
    return snr


def _middle_two(
    values: NDArray[np.float32], bad: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two values of each row between which its median lies; NaN without good ones.

    Of an odd number both are the median. ``values`` are infinite where they are bad; their order is lost.
    """
    middle = np.full((2, len(values)), np.nan)
    for row, of_row in enumerate(values):
        if count := len(of_row) - int(np.count_nonzero(bad[row])):
            middle[:, row] = _middle_of(of_row, count)
    return middle[0], middle[1]


def _middle_of(values: NDArray[np.float32], count: int) -> tuple[float, float]:
    """The middle two of the ``count`` smallest values, found among the few between two of a sample.

    The sample's value where the median should be is compared with all others, which tells how many
    places the median is away, and on which side (after Floyd & Rivest 1975, CACM 18, 165).
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
    return (high if lowest == half else float(values[: half - before].max())), high
