"""Bright sky: pixels of SDSS spectra in which lines of the night sky outshine the source."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.simulation.rest_frame import Floats
from engine.simulation.spectrum import ArmSpectrum

_WIDTH = 99
_LINES = 1.25
"""Sky over its running median from where a pixel counts as touched by a line."""
_ERRORS = 10.0


def bright_sky(arm: ArmSpectrum) -> NDArray[np.bool_]:
    """Pixels that the pipeline marks BRIGHTSKY in every exposure, (pixels,).

    SDSS's own rule for this bit of SPPIXMASK: a line of the sky, and sky above flux by ten errors.
    """
    error = np.divide(1.0, np.sqrt(arm.ivar), out=np.full(len(arm.ivar), np.inf), where=arm.ivar > 0)
    found: NDArray[np.bool_] = (arm.sky > arm.flux + _ERRORS * error) & sky_lines(arm)
    return found


def sky_lines(arm: ArmSpectrum) -> NDArray[np.bool_]:
    """Pixels whose sky is well above that of their surroundings, (pixels,)."""
    found: NDArray[np.bool_] = arm.sky > _LINES * _running_median(arm.sky)
    return found


def _running_median(values: Floats) -> Floats:
    """Median over ``_WIDTH`` pixels, in steps of an eighth of it: the sky's continuum is smooth."""
    step = _WIDTH // 8
    padded = np.pad(values, _WIDTH // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WIDTH)[::step]
    return np.interp(np.arange(len(values)), np.arange(len(windows)) * step, np.median(windows, axis=1))
