"""Bright lines of the night sky: observed wavelengths at which sky subtraction leaves residuals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.simulation.night_sky import SKY_LINES

_BRIGHT = 40.0
"""Least area in Angstrom of the sky's continuum. One per cent of such a line, what sky subtraction leaves,
is as large as the noise of the continuum in the two or three pixels that it covers."""

_REACH = 3.0
"""Angstrom on both sides that a line's residual covers: the full width of a line at SDSS's resolution."""


def near_bright_sky_line(wavelength: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of these observed vacuum wavelengths (N,) in Angstrom lie on a bright line of the sky."""
    lines = np.array([place for place, area in SKY_LINES if area >= _BRIGHT])
    after = np.searchsorted(lines, wavelength).clip(1, len(lines) - 1)
    distance = np.minimum(np.abs(wavelength - lines[after - 1]), np.abs(wavelength - lines[after]))
    return np.asarray(distance <= _REACH)
