"""The decoder's redshifting against an independent float64 interpolation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.sdss.grid import SDSS_GRID
from models.grid import WavelengthGrid
from models.scoring.decoder import Decoder


@pytest.mark.parametrize("grid", [DESI_GRID, SDSS_GRID])
@pytest.mark.parametrize("redshift", [0.0, 0.1234567, 0.6])
def test_observed_spectrum_is_the_interpolated_rest_spectrum(grid: WavelengthGrid, redshift: float) -> None:
    torch.manual_seed(0)
    start = np.log10(grid.wavelength()[0] / 1.6) - 1e-3
    size = int((np.log10(grid.wavelength()[-1]) + 1e-3 - start) / 1e-4) + 2
    decoder = Decoder(grid, start, 1e-4, size, latents=2, hidden=(4,))
    latents = torch.randn(2, 2)
    rest = decoder.rest(latents).detach().double().numpy()
    rest_grid = start + 1e-4 * np.arange(size)
    observed = np.log10(grid.wavelength() / (1 + redshift))
    expected = np.stack([np.interp(observed, rest_grid, row) for row in rest])
    got = decoder(latents, torch.full((2,), redshift, dtype=torch.float64)).detach().numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)
