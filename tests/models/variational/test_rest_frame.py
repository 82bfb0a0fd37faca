"""Between observed and rest frame: against loops over pixels, exact adjoints, gaps, nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.surveys.desi.grid import DESI_GRID
from engine.surveys.sdss.grid import SDSS_GRID
from models.grid import WavelengthGrid
from models.variational.rest_frame import DOUBT, RestFrame

SMALL = WavelengthGrid("small", "linear", 4000.0, 8.0, 120)
GRIDS = [SMALL, DESI_GRID, SDSS_GRID]


def frame_of(grid: WavelengthGrid, redshift_max: float = 0.4) -> RestFrame:
    observed = np.log10(grid.wavelength())
    step = max(1e-4, float(np.diff(observed).max()))
    start = observed[0] - np.log10(1 + redshift_max) - step
    return RestFrame(grid, start, step, int((observed[-1] + step - start) / step) + 2)


def spectra(grid: WavelengthGrid, count: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(2)
    flux = torch.randn(count, grid.size, generator=random, dtype=torch.float64)
    ivar = torch.rand(count, grid.size, generator=random, dtype=torch.float64)
    ivar = ivar * (torch.rand(count, grid.size, generator=random) > 0.1)
    return flux, ivar, torch.linspace(0.0, 0.3712, count, dtype=torch.float64)


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.name)
def test_averages_are_those_of_a_loop_over_pixels(grid: WavelengthGrid) -> None:
    frame = frame_of(grid)
    flux, ivar, redshift = spectra(grid)
    usual = torch.linspace(1.0, 2.0, frame.size, dtype=torch.float64)
    rest = frame.averaging(ivar, redshift, usual).apply(flux)
    for row in range(len(flux)):
        place = (np.log10(grid.wavelength() / (1 + float(redshift[row]))) - frame.start) / frame.step
        left = np.floor(place).astype(int)
        share = place - left
        weight, total = np.zeros(frame.size), np.zeros(frame.size)
        for side, part in ((0, 1 - share), (1, share)):
            np.add.at(weight, left + side, part * ivar[row].numpy())
            np.add.at(total, left + side, part * ivar[row].numpy() * flux[row].numpy())
        known = np.sort(weight[weight > 0])
        doubt = DOUBT * known[(len(known) - 1) // 2]
        expected = (total + doubt * usual.numpy()) / (weight + doubt)
        np.testing.assert_allclose(rest[row].numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("grid", GRIDS, ids=lambda grid: grid.name)
def test_every_observed_pixel_counts_in_full(grid: WavelengthGrid) -> None:
    """The shares of a pixel sum to one: what averaging takes up is the adjoint of what it gives back."""
    frame = frame_of(grid)
    _, ivar, redshift = spectra(grid, 1)
    taps = frame.averaging(ivar, redshift, torch.zeros(frame.size, dtype=torch.float64))
    weight = taps.known
    known = weight / (1 - weight)  # weight in units of the doubt
    unit = float(DOUBT * torch.where(known > 0, known, torch.nan).nanmedian())
    assert unit == pytest.approx(1.0)
    rest = torch.randn(1, frame.size, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    there = (frame.to_observed(rest, redshift) * ivar).sum()
    back = (rest * known).sum()
    ones = (frame.to_observed(torch.ones_like(rest), redshift) * ivar).sum()
    assert float(there / ones) == pytest.approx(float(back / known.sum()), rel=1e-6, abs=1e-9)


def test_interpolation_is_numpys_and_gaps_are_filled() -> None:
    frame = frame_of(SMALL)
    flux, ivar, redshift = spectra(SMALL)
    usual = torch.linspace(5.0, 6.0, frame.size, dtype=torch.float64)
    rest = frame.sampling(ivar, redshift, usual).apply(flux).numpy()
    for row in range(len(flux)):
        at = np.power(10.0, frame.rest.numpy()) * (1 + float(redshift[row]))
        holed = np.where(ivar[row].numpy() > 0, flux[row].numpy(), np.nan)
        # NumPy gives a pixel's own value where a wavelength is exactly its centre; none is here.
        expected = np.interp(at, SMALL.wavelength(), holed, left=np.nan, right=np.nan)
        gap = np.isnan(expected)
        assert 0.1 < gap.mean() < 0.9
        np.testing.assert_allclose(rest[row], np.where(gap, usual.numpy(), expected), rtol=0, atol=1e-9)


@pytest.mark.parametrize("way", ["averaging", "sampling"])
def test_a_layer_can_be_folded_onto_flux(way: str) -> None:
    frame = frame_of(DESI_GRID)
    flux, ivar, redshift = spectra(DESI_GRID, 2)
    flux[1], ivar[1] = flux[0] + 1, ivar[0]
    taps = getattr(frame, way)(ivar[:1], redshift[1:], torch.ones(frame.size, dtype=torch.float64))
    layer = torch.randn(5, frame.size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    direct = torch.cat([taps.apply(row[None]) for row in flux]) @ layer.T
    folded = flux @ taps.folded(layer, DESI_GRID.size).T + taps.offset @ layer.T
    torch.testing.assert_close(folded, direct, rtol=1e-9, atol=1e-9)


def test_nothing_known_is_the_usual_spectrum() -> None:
    frame = frame_of(SMALL)
    usual = torch.linspace(1.0, 2.0, frame.size)
    nothing, redshift = torch.zeros(1, SMALL.size), torch.zeros(1)
    for way in (frame.averaging, frame.sampling):
        rest = way(nothing, redshift, usual).apply(torch.full((1, SMALL.size), 1e6))
        torch.testing.assert_close(rest[0], usual, rtol=1e-6, atol=0)
