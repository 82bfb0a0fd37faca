"""Peaks of an attribution curve and the lines that they coincide with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from engine.attribution.place_filter import LINE_TOLERANCE
from engine.clustering.clustering import Peak
from models.lines import nearest_line

_PROMINENCE = 0.1


def attribution_peaks(
    wavelength: NDArray[np.float64],
    attribution: NDArray[np.float64],
    residual: NDArray[np.float64],
    most: int = 5,
) -> tuple[Peak, ...]:
    """The highest peaks, highest first, each at least a tenth of the highest in prominence.

    Parameters
    ----------
    wavelength : (B,) rest Angstrom, ascending.
    attribution : (B,), NaN where nothing was observed.
    residual : (B,), mean flux minus mean baseline, NaN where nothing was observed.
    most : at most that many.
    """
    curve = np.where(np.isfinite(attribution), attribution, 0.0)
    top = float(curve.max(initial=0.0))
    if top <= 0.0:
        return ()
    # Zeros at both ends make a rise towards an edge of the observed range a peak as well.
    found, _ = find_peaks(np.pad(np.clip(curve, 0.0, None), 1), prominence=_PROMINENCE * top)
    order = sorted(found - 1, key=lambda index: (-curve[index], index))[:most]
    return tuple(_peak(wavelength, curve, residual, int(index), top) for index in order)


def _peak(
    wavelength: NDArray[np.float64],
    curve: NDArray[np.float64],
    residual: NDArray[np.float64],
    index: int,
    top: float,
) -> Peak:
    line = nearest_line(float(wavelength[index]), LINE_TOLERANCE)
    around = residual[max(0, index - 1) : index + 2]
    above = float(np.where(np.isfinite(around), around, 0.0).sum()) >= 0.0
    return Peak(
        wavelength=float(wavelength[index]),
        height=float(curve[index]) / top,
        line=line.name if line else "",
        flux="excess" if above else "deficit",
    )
