"""Resampling: a spectrum on pixels of its own, brought to a grid; the flux in any interval stays.

A pixel of the grid gets the mean of what overlaps it, each part weighted by its width, and the variance of
that mean: the flux-conserving sum of Carnall (2017, arXiv 1705.05165). Neighbouring pixels then share noise.
This covariance is lost: variances are right pixel by pixel, and sums over pixels look more certain than they
are, the more the finer the grid is against the spectrum's own pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.spectra.own_spectrum import OwnSpectrum
from engine.spectra.pixels import good_fraction
from engine.spectra.rows import ROW_DTYPE, Rows, whole
from engine.spectra.spectra import Spectra
from models.grid import WavelengthGrid
from models.row_status import RowStatus
from models.signal_to_noise import median_snr

COVERED = 0.5
"""Share of a pixel of the grid that good pixels must overlap; one with less carries no evidence."""

_ON_GRID = 0.02
"""Pixels of the grid by which wavelengths on it may be off: float32 holds log10 wavelengths to 0.0024."""

_GAP = 1.9
"""How many times larger the step to one neighbour is than to the other where pixels are missing between."""


@dataclass(frozen=True, eq=False)
class Resampled:
    """A spectrum on a grid of N pixels.

    Attributes
    ----------
    flux, ivar : (N,) float64, both 0 in pixels without evidence.
    exact : whether the spectrum's own pixels are some of the grid's, so that nothing was changed.
    """

    flux: NDArray[np.float64]
    ivar: NDArray[np.float64]
    exact: bool


def resampled(spectrum: OwnSpectrum, grid: WavelengthGrid) -> Resampled:
    """The spectrum on the grid; what lies outside of either has no evidence."""
    flux, ivar = np.zeros(grid.size), np.zeros(grid.size)
    if is_on(grid, spectrum.wavelength):
        place = np.rint(grid.pixel(spectrum.wavelength)).astype(np.int64)
        flux[place], ivar[place] = spectrum.flux, spectrum.ivar
        return Resampled(flux, ivar, True)
    of_spectrum, of_grid, width = _overlaps(spectrum.wavelength, grid)
    good = spectrum.good[of_spectrum]
    of_spectrum, of_grid, width = of_spectrum[good], of_grid[good], width[good]

    def summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(of_grid, values, grid.size).astype(np.float64)

    covered = summed(width)
    kept = covered >= COVERED * np.diff(_grid_edges(grid))
    variance = summed(np.square(width) / spectrum.ivar[of_spectrum])
    np.divide(summed(width * spectrum.flux[of_spectrum]), covered, out=flux, where=kept)
    np.divide(np.square(covered), variance, out=ivar, where=kept)
    return Resampled(flux, ivar, False)


def is_on(grid: WavelengthGrid, wavelength: NDArray[np.float64]) -> bool:
    """Whether rising wavelengths, (n,), are some of the grid's."""
    place = grid.pixel(wavelength)
    near = np.rint(place)
    inside = (near >= 0) & (near < grid.size)
    return bool(inside.all() and (np.abs(place - near) < _ON_GRID).all() and (np.diff(near) > 0).all())


def _overlaps(
    wavelength: NDArray[np.float64], grid: WavelengthGrid
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Every overlap of a pixel of the spectrum with one of the grid: both pixels, and its width."""
    own, edges = _own_edges(wavelength), _grid_edges(grid)
    every = np.unique(np.concatenate((own, edges)))
    middle, width = 0.5 * (every[1:] + every[:-1]), np.diff(every)
    place = np.searchsorted(own, middle, side="right") - 1
    of_grid = np.searchsorted(edges, middle, side="right") - 1
    # Between the end of a pixel (odd) and the start of the next there is a gap.
    inside = (place >= 0) & (place % 2 == 0) & (of_grid >= 0) & (of_grid < grid.size)
    return place[inside] // 2, of_grid[inside], width[inside]


def _own_edges(wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
    """First and last edge of each pixel in turn, (2 N,).

    Edges lie in the middle between neighbours. Where a neighbour is missing, a pixel is symmetric.
    """
    steps = np.diff(wavelength)
    left, right = np.concatenate((steps[:1], steps)), np.concatenate((steps, steps[-1:]))
    left, right = (
        np.where(left > _GAP * right, right, left),
        np.where(right > _GAP * left, left, right),
    )
    return np.stack((wavelength - 0.5 * left, wavelength + 0.5 * right), axis=1).ravel()


def _grid_edges(grid: WavelengthGrid) -> NDArray[np.float64]:
    return grid.wavelength_at(np.arange(grid.size + 1, dtype=np.float64) - 0.5)


def on_grid(spectrum: OwnSpectrum, grid: WavelengthGrid) -> Spectra:
    """The spectrum as one that was read from a survey's file, one row; see :func:`resampled`."""
    found = resampled(spectrum, grid)
    with np.errstate(over="ignore"):
        flux, ivar = found.flux.astype(np.float32)[None], found.ivar.astype(np.float32)[None]
    # What float32 cannot hold carries no evidence here.
    held = np.isfinite(flux) & np.isfinite(ivar)
    flux, ivar = np.where(held, flux, np.float32(0)), np.where(held, ivar, np.float32(0))
    flux = np.where(ivar > 0, flux, np.float32(0))
    rows = Rows.empty(1)
    rows.data["key"] = spectrum.key[: ROW_DTYPE["key"].itemsize // 4]
    rows.data["target_id"] = spectrum.target_id
    rows.data["redshift"] = spectrum.redshift
    rows.data["spectype"] = whole("spectype", spectrum.spectral_class)
    rows.data["source_row"] = 0
    rows.data["snr"] = median_snr(flux, ivar)
    rows.data["good_fraction"] = good_fraction(ivar)
    known = np.isfinite(spectrum.redshift)
    rows.data["status"] = RowStatus.SCORED if known else RowStatus.NO_REDSHIFT
    return Spectra(grid, flux, ivar, rows)
