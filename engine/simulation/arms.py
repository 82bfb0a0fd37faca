"""Instrument arms: pixel grids with a line-spread function, and light gathered into their pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.grid import WavelengthGrid

Floats = NDArray[np.float64]

SUBPIXELS = 4
SPEED_OF_LIGHT = 299792.458
"""km/s."""
LARGEST_DISPERSION = 150.0
"""km/s, of a continuum on top of the width that its components have already."""


@dataclass(frozen=True)
class Arm:
    """One arm (or one whole SDSS spectrum) of an instrument.

    Attributes
    ----------
    name : ``b``, ``r``, ``z`` or ``all``.
    grid : its pixels, vacuum Angstrom.
    lsf_sigma : sigma of its Gaussian line-spread function, in pixels of the grid.
    """

    name: str
    grid: WavelengthGrid
    lsf_sigma: float

    @cached_property
    def wavelength(self) -> Floats:
        """Pixel centres, Angstrom."""
        return self.grid.wavelength()

    @cached_property
    def pixel_width(self) -> Floats:
        """Pixel widths, Angstrom."""
        return np.diff(self.edges(np.arange(self.grid.size + 1, dtype=np.float64) - 0.5))

    @cached_property
    def kernel_reach(self) -> int:
        """Pixels on either side that the widest line-spread function used here reaches."""
        return _reach(self._sigma_pixels(LARGEST_DISPERSION))

    @cached_property
    def subpixel_edges(self) -> Floats:
        """Edges of subpixels, including those outside the grid that the line-spread function needs."""
        count = (self.grid.size + 2 * self.kernel_reach) * SUBPIXELS
        return self.edges(np.arange(count + 1, dtype=np.float64) / SUBPIXELS - 0.5 - self.kernel_reach)

    def edges(self, pixel: Floats) -> Floats:
        """Wavelengths in Angstrom of fractional pixel positions."""
        coordinate = self.grid.start + self.grid.step * pixel
        return coordinate if self.grid.spacing == "linear" else np.power(10.0, coordinate)

    def angstrom_per_pixel(self, wavelength: float) -> float:
        """Pixel width in Angstrom at ``wavelength``."""
        return self.grid.step * (1.0 if self.grid.spacing == "linear" else wavelength * math.log(10.0))

    def line_sigma(self, wavelength: float, velocity_dispersion: float) -> float:
        """Observed sigma in Angstrom of a line of ``velocity_dispersion`` km/s."""
        instrument = self.lsf_sigma * self.angstrom_per_pixel(wavelength)
        return math.hypot(instrument, wavelength * velocity_dispersion / SPEED_OF_LIGHT)

    def gather(self, subpixel_flux: Floats, velocity_dispersion: float) -> Floats:
        """Pixels of this arm from mean fluxes in subpixels, seen through the line-spread function.

        ``velocity_dispersion`` (km/s, at most LARGEST_DISPERSION) is added in quadrature as it is at
        the arm's middle: it varies by a quarter over an arm, less than it is known for a galaxy.
        """
        sigma = self._sigma_pixels(min(velocity_dispersion, LARGEST_DISPERSION))
        reach = _reach(sigma)
        kernel = pixel_kernel(sigma, reach)
        spare = (self.kernel_reach - reach) * SUBPIXELS
        inside = subpixel_flux[spare : len(subpixel_flux) - spare]
        pixels = np.zeros(self.grid.size)
        for phase in range(SUBPIXELS):
            pixels += np.correlate(inside[phase::SUBPIXELS], kernel[phase::SUBPIXELS], mode="valid")
        return pixels

    def _sigma_pixels(self, velocity_dispersion: float) -> float:
        middle = float(self.wavelength[self.grid.size // 2])
        return self.line_sigma(middle, velocity_dispersion) / self.angstrom_per_pixel(middle)

    def add_line(self, flux: Floats, wavelength: float, area: float, sigma: float) -> None:
        """Add to ``flux`` a Gaussian of ``area`` and ``sigma`` (Angstrom), integrated over each pixel."""
        centre = float(self.grid.pixel(wavelength))
        reach = 6.0 * sigma / self.angstrom_per_pixel(wavelength) + 1.0
        first, last = max(0, int(centre - reach)), min(self.grid.size, int(centre + reach) + 2)
        if first >= last:
            return
        edge = (self.edges(np.arange(first, last + 1, dtype=np.float64) - 0.5) - wavelength) / (
            sigma * math.sqrt(2.0)
        )
        below = np.array([math.erf(value) for value in edge.tolist()])
        flux[first:last] += 0.5 * area * np.diff(below) / self.pixel_width[first:last]


def _reach(sigma: float) -> int:
    return math.ceil(4.5 * sigma) + 1


def pixel_kernel(sigma: float, reach: int) -> Floats:
    """Weights of the subpixels from ``reach`` pixels left to ``reach`` right of a pixel; they sum to 1.

    The pixel's own width is in it: the weights are a Gaussian of ``sigma`` pixels, sampled on
    subpixels, convolved with the pixel.
    """
    offset = (np.arange((2 * reach + 1) * SUBPIXELS) + 0.5) / SUBPIXELS - reach - 0.5
    inside = (np.arange(SUBPIXELS) + 0.5) / SUBPIXELS - 0.5
    weights = np.exp(-0.5 * ((offset[:, None] - inside) / sigma) ** 2).sum(axis=1)
    return np.asarray(weights / weights.sum())
