"""Observed pixels brought to rest-frame bins, with the coverage of every bin."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.grid import WavelengthGrid


@dataclass(frozen=True, slots=True)
class RestGrid:
    """Regular bins in ln(rest wavelength in Angstrom): bin k spans ``[(first+k) step, (first+k+1) step]``.

    Bins sit on multiples of ``step``, so that grids of equal step share their bins whatever the
    redshifts that they were made for.
    """

    first: int
    size: int
    step: float

    @classmethod
    def covering(
        cls, grid: WavelengthGrid, redshift_min: float, redshift_max: float, step: float
    ) -> RestGrid:
        """The bins that ``grid`` covers at any redshift from ``redshift_min`` to ``redshift_max``."""
        wavelength = grid.wavelength()
        first = math.floor(math.log(float(wavelength[0]) / (1.0 + redshift_max)) / step)
        last = math.ceil(math.log(float(wavelength[-1]) / (1.0 + redshift_min)) / step)
        return cls(first, last - first, step)

    def edges(self) -> NDArray[np.float64]:
        """Bin edges in Angstrom, shape (size + 1,)."""
        return np.exp((self.first + np.arange(self.size + 1, dtype=np.float64)) * self.step)

    def wavelength(self) -> NDArray[np.float64]:
        """Bin centres in Angstrom, shape (size,)."""
        return np.exp((self.first + 0.5 + np.arange(self.size, dtype=np.float64)) * self.step)


def rebin(
    values: NDArray[np.floating],
    good: NDArray[np.bool_],
    redshift: NDArray[np.float64],
    grid: WavelengthGrid,
    rest: RestGrid,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of the good pixels in every rest-frame bin, each weighted by its overlap with the bin.

    Overlaps are measured along the grid's own coordinate (wavelength, or its logarithm), in which
    pixels are one wide. Where bins tile the spectrum, the sum of mean times covered width is the
    sum of the good pixels: nothing is lost or counted twice.

    Parameters
    ----------
    values : (n, N) on ``grid``; only good pixels are read.
    good : (n, N), pixels that carry information.
    redshift : (n,); a row without a finite redshift above -1 covers nothing.

    Returns
    -------
    mean : (n, B) float64, 0 where nothing is covered.
    coverage : (n, B) float64, share of each bin's width that good pixels cover, 0 to 1.
    """
    count = len(values)
    known = np.isfinite(redshift) & (redshift > -1.0)
    shift = np.where(known, 1.0 + redshift, 1.0)
    # Bin edges in pixel coordinates: pixel k spans [k, k + 1].
    exact = grid.pixel(rest.edges()[None, :] * shift[:, None]) + 0.5
    edge = np.clip(exact, 0.0, grid.size)
    below = np.minimum(edge.astype(np.int64), grid.size - 1)
    part = edge - below

    usable = good & known[:, None]
    weight = usable.astype(np.float64)
    content = np.where(usable, values, 0.0).astype(np.float64)

    def integral(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        running = np.zeros((count, grid.size + 1))
        np.cumsum(pixels, axis=1, out=running[:, 1:])
        at_edge = np.take_along_axis(running, below, 1) + part * np.take_along_axis(pixels, below, 1)
        return np.diff(at_edge, axis=1)

    covered = integral(weight)
    total = integral(content)
    # Differences of running sums leave ~1e-12 pixels where a bin is empty.
    empty = covered < 1e-9
    mean = np.divide(total, covered, out=np.zeros_like(total), where=~empty)
    return mean, np.where(empty, 0.0, np.clip(covered / np.diff(exact, axis=1), 0.0, 1.0))
