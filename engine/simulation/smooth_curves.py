"""Smooth curves: running means and medians of data, and random ones through knots."""

from __future__ import annotations

import numpy as np

from engine.simulation.arms import Floats

_BLUE, _RED = 3300.0, 10_900.0
"""Angstrom; beyond every instrument's ends."""


def running_mean(values: Floats, width: int) -> Floats:
    """Mean over ``width`` (odd) pixels; the ends are continued by their last value."""
    total = np.cumsum(np.pad(values, (width // 2 + 1, width // 2), mode="edge"))
    return np.asarray((total[width:] - total[:-width]) / width)


def running_median(values: Floats, width: int) -> Floats:
    """Median over ``width`` pixels, in steps of an eighth of it, for what varies slowly."""
    step = max(1, width // 8)
    padded = np.pad(values, width // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)[::step]
    return np.interp(np.arange(len(values)), np.arange(len(windows)) * step, np.median(windows, axis=1))


class RandomCurve:
    """A curve of wavelength through independent normal knots of unit variance, ``spacing`` Angstrom apart.

    Between them it is the cubic of Catmull and Rom: smooth to the first derivative, and quick to draw.
    """

    def __init__(self, random: np.random.Generator, spacing: float) -> None:
        self._spacing = spacing
        self._first = _BLUE - spacing * (1.0 + random.random())
        self._knots = random.standard_normal(int((_RED - self._first) / spacing) + 4)

    def __call__(self, wavelength: Floats) -> Floats:
        """Its values at ``wavelength``, Angstrom between 3300 and 10900."""
        place = (wavelength - self._first) / self._spacing
        knot = place.astype(np.int64)
        t = place - knot
        before, here, after, beyond = (self._knots[knot + offset] for offset in (-1, 0, 1, 2))
        slope, curvature = after - before, 2 * before - 5 * here + 4 * after - beyond
        return here + 0.5 * t * (slope + t * (curvature + t * (3 * (here - after) + beyond - before)))
