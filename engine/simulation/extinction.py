"""Dust in galaxies (Calzetti), before quasars (Small Magellanic Cloud), in the Milky Way (Fitzpatrick).

All give transmissions, 10^(-0.4 A), for a colour excess E(B-V) in magnitudes.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline

from engine.simulation.rest_frame import Floats

_STARBURST_RV = 4.05

# Fitzpatrick 1999 (PASP 111, 63), table 3: A(x) / E(B-V) for R_V = 3.1 at x in 1 / micron.
_MILKY_WAY = ((0.0, 0.0), (0.377, 0.265), (0.820, 0.829), (1.667, 2.688), (1.828, 3.055), (2.141, 3.806),
              (2.433, 4.315), (3.704, 6.265), (3.846, 6.591))  # fmt: skip


def starburst_transmission(rest_wavelength: Floats, colour_excess: float) -> Floats:
    """Of the dust in front of a galaxy's stars (Calzetti et al. 2000, ApJ 533, 682, equation 4).

    ``rest_wavelength`` in Angstrom, used from 1200; a negative ``colour_excess`` takes dust away.
    """
    x = 1e4 / np.maximum(rest_wavelength, 1200.0)
    blue = 2.659 * (-2.156 + x * (1.509 + x * (-0.198 + 0.011 * x))) + _STARBURST_RV
    red = 2.659 * (-1.857 + 1.040 * x) + _STARBURST_RV
    return _transmission(np.where(rest_wavelength < 6300.0, blue, np.maximum(red, 0.0)), colour_excess)


def quasar_transmission(rest_wavelength: Floats, colour_excess: float) -> Floats:
    """Of dust like the Small Magellanic Cloud's, without a bump at 2175 Angstrom.

    A = 1.39 (wavelength / micron)^-1.2 E(B-V): Prevot et al. 1984 as in Richards et al. 2003, AJ 126, 1131.
    """
    return _transmission(1.39 * (np.maximum(rest_wavelength, 600.0) / 1e4) ** -1.2, colour_excess)


def milky_way_transmission(observed_wavelength: Floats, colour_excess: float) -> Floats:
    """Of the dust in the foreground, for R_V = 3.1; ``observed_wavelength`` in Angstrom, from 2700."""
    return _transmission(np.asarray(_milky_way_curve()(1e4 / observed_wavelength)), colour_excess)


@lru_cache(maxsize=1)
def _milky_way_curve() -> CubicSpline:
    x, values = zip(*_MILKY_WAY, strict=True)
    return CubicSpline(x, values)


def _transmission(curve: Floats, colour_excess: float) -> Floats:
    return np.asarray(np.exp(-0.4 * np.log(10.0) * colour_excess * curve))
