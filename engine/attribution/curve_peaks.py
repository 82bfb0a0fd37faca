"""Peaks of a curve, each with the interval of its upper half: those of SciPy's find_peaks and peak_widths.

``scipy.signal`` does the same, but to import it takes half as long as to import torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class CurvePeak:
    """A peak.

    Attributes
    ----------
    index : of the highest value; of several equal ones, of that in their middle.
    left, right : where the curve, drawn from value to value, is down by half of the peak's prominence, in
        units of the index.
    """

    index: int
    left: float
    right: float


def curve_peaks(values: ArrayLike, prominence: float) -> list[CurvePeak]:
    """Peaks of at least this prominence, by ascending index; the first and the last value are none.

    Parameters
    ----------
    values : (N,), finite, at least one.
    prominence : height above the higher of two lowest values: those on either side of the peak, as far as
        nothing is higher than it.
    """
    curve = np.asarray(values, dtype=np.float64)
    maxima = _maxima(curve)
    # No prominence is more than the height above the lowest value of all.
    possible = maxima[curve[maxima] - curve.min() >= prominence]
    found = (_peak(curve, int(index), prominence) for index in possible)
    return [peak for peak in found if peak is not None]


def _maxima(curve: NDArray[np.float64]) -> NDArray[np.int64]:
    """Where the curve has risen and then falls."""
    last = np.flatnonzero(np.diff(curve))
    first, last = np.append(0, last + 1), np.append(last, len(curve) - 1)
    level = curve[first]
    tops = 1 + np.flatnonzero((level[1:-1] > level[:-2]) & (level[1:-1] > level[2:]))
    return (first[tops] + last[tops]) // 2


def _peak(curve: NDArray[np.float64], index: int, prominence: float) -> CurvePeak | None:
    """The peak there, if it is as prominent."""
    higher = np.flatnonzero(curve > curve[index])
    after = int(np.searchsorted(higher, index))
    left = curve[higher[after - 1] + 1 if after else 0 : index + 1][::-1]
    right = curve[index : higher[after] if after < len(higher) else None]
    own = curve[index] - max(left.min(), right.min())
    if own < prominence:
        return None
    half = curve[index] - own * 0.5
    (before, back), (behind, over) = _descent(left, half), _descent(right, half)
    return CurvePeak(index, index - before + back, index + behind - over)


def _descent(flank: NDArray[np.float64], level: float) -> tuple[int, float]:
    """The first value of a flank at or below a level, and how far before it the curve crosses the level."""
    reached = int(np.argmax(flank <= level))
    if flank[reached] == level:
        return reached, 0.0
    return reached, float((level - flank[reached]) / (flank[reached - 1] - flank[reached]))
