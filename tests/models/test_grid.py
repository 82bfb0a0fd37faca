"""Wavelength grids against the surveys' published numbers."""

from __future__ import annotations

import numpy as np
import pytest

from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.sdss.grid import SDSS_GRID
from models.errors import ConfigurationError
from models.grid import WavelengthGrid


def test_desi_grid_is_the_published_one() -> None:
    wavelength = DESI_GRID.wavelength()
    assert len(wavelength) == 7781
    np.testing.assert_allclose(wavelength[[0, 2700, 4900, 7780]], [3600.0, 5760.0, 7520.0, 9824.0], atol=1e-8)


def test_sdss_grid_steps_in_log10() -> None:
    np.testing.assert_allclose(np.diff(np.log10(SDSS_GRID.wavelength())), 1e-4, atol=1e-12)


@pytest.mark.parametrize("grid", [DESI_GRID, SDSS_GRID])
def test_pixel_is_the_inverse_of_wavelength(grid: WavelengthGrid) -> None:
    np.testing.assert_allclose(grid.pixel(grid.wavelength()), np.arange(grid.size), atol=1e-6)
    assert WavelengthGrid.from_dict(grid.to_dict()) == grid


def test_incomplete_description() -> None:
    with pytest.raises(ConfigurationError, match="incomplete or wrong"):
        WavelengthGrid.from_dict({"name": "desi"})


@pytest.mark.parametrize("grid", [DESI_GRID, SDSS_GRID])
def test_width_is_that_of_the_pixels_around(grid: WavelengthGrid) -> None:
    wavelength = grid.wavelength()
    measured = wavelength[1010] - wavelength[990]
    np.testing.assert_allclose(grid.width(float(wavelength[1000]), 20), measured, rtol=1e-9)
    assert grid.width(wavelength[:3], np.array([1, 2, 3])).shape == (3,)
