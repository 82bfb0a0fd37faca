"""The scoring model's promises to occlusion: one mask, one redshift, typical baselines."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from models.scoring.joint_score import shares
from models.scoring.scan_readout import ScanReadout
from models.scoring.scoring_model import ScoringModel

LARGE_ERRORS = slice(2000, 2040)


def spectra(model: ScoringModel, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    flux = 1 + 0.3 * torch.randn(count, model.card.grid.size, generator=generator)
    ivar = 9.0 * (torch.rand(model.card.grid.size, generator=generator) > 0.1)
    ivar[LARGE_ERRORS] /= 400
    return flux, ivar


def test_conditioned_is_minus_the_score(tiny_model: ScoringModel) -> None:
    flux, ivar = spectra(tiny_model, 4)
    redshift = torch.full((4,), 0.234, dtype=torch.float64)
    direct = -tiny_model.outputs(flux, ivar.expand_as(flux), redshift).score
    for spectrum, wanted in zip(flux, direct, strict=True):
        found = tiny_model.conditioned(spectrum, ivar, 0.234)(spectrum[None])
        torch.testing.assert_close(found, wanted[None], rtol=0, atol=2e-5)


@pytest.mark.parametrize("fallen", range(len(shares(2))))
def test_a_part_that_falls_raises_no_explained_score(tiny_model: ScoringModel, fallen: int) -> None:
    """Not even the misfit, at which the other parts are compared."""
    model = copy.deepcopy(tiny_model)
    widening = model.joint.widening.log_widening
    widening[2:] = torch.linspace(-1.0, 1.5, widening.shape[1])
    flux, ivar = spectra(model, 1)
    readout = model.conditioned(flux[0], ivar, 0.234).readout
    assert isinstance(readout, ScanReadout)
    raw = readout.median + 4.0 * readout.width
    lower = raw.clone()
    lower[fallen] -= 4.5 * readout.width[fallen]
    assert readout.score_of(lower) < readout.score_of(raw)


def test_to_the_encoder_pixels_of_large_errors_are_masked(tiny_model: ScoringModel) -> None:
    flux, ivar = spectra(tiny_model, 2)
    redshift = torch.full((2,), 0.234, dtype=torch.float64)
    masked = ivar.clone()
    masked[LARGE_ERRORS] = 0
    wanted = tiny_model.encode(flux, masked.expand_as(flux), redshift)
    flux[:, LARGE_ERRORS] += 1e6
    assert torch.equal(tiny_model.encode(flux, ivar.expand_as(flux), redshift), wanted)


def test_baselines_are_the_chosen_calibration_spectra(tiny_model: ScoringModel) -> None:
    chosen = np.array([5, 2, 9])
    redshift = torch.full((3,), 0.3, dtype=torch.float64)
    expected = tiny_model.decode(tiny_model.calibration_latents[chosen], redshift)
    # They are placed on observed pixels before they are drawn, or after: that rounds otherwise.
    torch.testing.assert_close(tiny_model.baselines(0.3, chosen), expected, rtol=1e-5, atol=1e-6)


def test_a_baseline_is_the_same_galaxy_at_every_redshift(tiny_model: ScoringModel) -> None:
    """The rest-frame spectrum does not move when the redshift does."""
    near, far = (tiny_model.baselines(z, np.array([0]))[0] for z in (0.1, 0.3))
    wavelength = torch.from_numpy(tiny_model.card.grid.wavelength())
    pixel = torch.tensor([2000, 4000])
    moved = torch.searchsorted(wavelength, wavelength[pixel] * 1.3 / 1.1)
    torch.testing.assert_close(near[pixel], far[moved], rtol=0, atol=0.15)
