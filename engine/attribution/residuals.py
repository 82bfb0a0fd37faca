"""Residual significance as a map: the baseline that every attribution must beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.attribution.subject import Subject


def residual_map(subject: Subject, width: int) -> NDArray[np.float64]:
    """Significance of the mean residual in the window around each pixel: |sum r ivar| / sqrt(sum ivar).

    With ``width`` 1 the residual in units of its noise. No model is asked beyond one reconstruction.
    """
    ivar = subject.ivar.numpy()
    residual = (subject.flux.double() - subject.reconstruction).numpy()
    weighted, weight = _windowed(residual * ivar, width), _windowed(ivar, width)
    found = np.divide(np.abs(weighted), np.sqrt(weight), out=np.zeros_like(ivar), where=weight > 0)
    return np.where(subject.good.numpy(), found, 0.0)


def _windowed(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Sums over the windows that :func:`engine.attribution.occlusion.windows.centred_scales` lays."""
    before = np.concatenate(([0.0], np.cumsum(values)))
    start = np.arange(len(values)) - width // 2
    stop = np.minimum(start + width, len(values))
    found: NDArray[np.float64] = before[stop] - before[np.maximum(start, 0)]
    return found
