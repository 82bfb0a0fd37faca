"""Smoothing of a spectrum, which tells its noise from its shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH = 3.0
"""Standard deviation of the kernel in pixels, as of Ortiz Manrique & Boquien, arXiv 2510.05235."""
_REACH = 12
"""Pixels on each side: four standard deviations, as of astropy's kernels, which they use."""


def bridged(flux: NDArray[np.floating], good: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The spectrum (N,) in float64, masked pixels on straight lines between good ones; 0 if none is good."""
    pixel = np.arange(len(flux))
    if not good.any():
        return np.zeros(len(flux))
    return np.interp(pixel, pixel[good], flux[good].astype(np.float64))


def smooth(flux: NDArray[np.float64]) -> NDArray[np.float64]:
    """The spectrum (N,) folded with a Gaussian; its ends go on as they are."""
    offset = np.arange(-_REACH, _REACH + 1)
    kernel = np.exp(-0.5 * (offset / WIDTH) ** 2)
    return np.convolve(np.pad(flux, _REACH, mode="edge"), kernel / kernel.sum(), mode="valid")
