"""The variational model's promises in both forms: deterministic, deaf to masks, taken apart right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.surveys.desi.grid import DESI_GRID
from models.model_card import ModelCard
from models.score_kinds import RECONSTRUCTION_SCORES, ScoreKind
from models.variational.model import VariationalArchitecture, VariationalModel
from models.weights import load_model, save_model

IVAR = VariationalArchitecture(hidden=(16, 12, 8), latents=3)
PUBLISHED = VariationalArchitecture("published", "published_mse_all_100", hidden=(16, 12, 8), latents=3)


@pytest.fixture(params=[IVAR, PUBLISHED], ids=lambda architecture: architecture.form)
def model(request: pytest.FixtureRequest) -> VariationalModel:
    return random_model(request.param)


def random_model(architecture: VariationalArchitecture) -> VariationalModel:
    """Few, random, fixed weights, large enough that latents and reconstructions differ."""
    torch.manual_seed(11)
    card = ModelCard(
        name="vae",
        description="random weights, for tests",
        kind="variational",
        grid=DESI_GRID,
        classes=("GALAXY",),
        redshift_min=0.0,
        redshift_max=0.6,
        snr_min=0.5,
        snr_max=100.0,
        normalisation_min=5300.0,
        normalisation_max=5850.0,
        min_good_fraction=0.3,
        rest_start=3.352,
        rest_step=1e-4,
        rest_size=6420,
        architecture=architecture.to_dict(),
        training={},
        metrics={},
        calibration_quantiles=(),
    )
    model = VariationalModel(card, 20)
    with torch.no_grad():
        model.usual.copy_(1 + 0.2 * torch.sin(torch.arange(6420) / 300))
        model.first.weight.mul_(20)
        model.output.weight.normal_(0, 0.3)
        model.calibration_latents.normal_()
    return model.requires_grad_(False).eval()


def spectra(count: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(3)
    flux = 1 + 0.3 * torch.randn(count, DESI_GRID.size, generator=random)
    ivar = 9 * (torch.rand(count, DESI_GRID.size, generator=random) > 0.1).float()
    return flux, ivar, torch.linspace(0.0, 0.6, count, dtype=torch.float64)


def test_the_same_spectra_give_the_same_bits(model: VariationalModel) -> None:
    first, second = (model.outputs(*spectra()) for _ in range(2))
    assert torch.equal(first.score, second.score)
    assert torch.equal(first.latents, second.latents)
    assert first.latents.std(dim=0).min() > 1e-3
    assert torch.isfinite(first.score).all()


def test_a_batch_gives_what_each_spectrum_gives_alone(model: VariationalModel) -> None:
    flux, ivar, redshift = spectra(40)  # more than are brought to the rest frame at once
    together = model.outputs(flux, ivar, redshift)
    for row in (0, 31, 32, 39):
        alone = model.outputs(flux[row : row + 1], ivar[row : row + 1], redshift[row : row + 1])
        torch.testing.assert_close(together.latents[row], alone.latents[0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together.score[row], alone.score[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("garbage", [1e30, float("nan"), float("inf")])
def test_garbage_behind_the_mask_changes_no_bit(model: VariationalModel, garbage: float) -> None:
    flux, ivar, redshift = spectra()
    clean, dirty = torch.where(ivar > 0, flux, 0), torch.where(ivar > 0, flux, garbage)
    expected, got = model.outputs(clean, ivar, redshift), model.outputs(dirty, ivar, redshift)
    assert torch.equal(got.latents, expected.latents)
    assert torch.equal(got.score, expected.score)
    assert torch.equal(got.reconstruction, expected.reconstruction)
    log_likelihood = model.conditioned(flux[0], ivar[0], 0.3)
    assert torch.equal(log_likelihood(dirty[:1]), log_likelihood(clean[:1]))


def test_conditioned_is_half_the_sum_of_squares_that_the_score_is_made_of(model: VariationalModel) -> None:
    model = model.double()
    flux, ivar, _ = spectra()
    flux, ivar = flux.double(), ivar[0].double()
    score = model.outputs(flux, ivar.expand_as(flux), torch.full((len(flux),), 0.234).double()).score
    squares = score.square() if model.architecture.form == "published" else score * (ivar > 0).sum()
    found = model.conditioned(flux[0], ivar, 0.234)(flux)
    torch.testing.assert_close(found, -0.5 * squares, rtol=1e-6, atol=0)
    assert model.log_prob_of(float(score[0]), ivar) == pytest.approx(float(found[0]), rel=1e-6)


def test_a_score_by_another_statistic_is_in_nat_too() -> None:
    model = random_model(VariationalArchitecture("ivar", "ivar_mse_all_100", 3, (16, 12, 8))).double()
    chi2 = random_model(IVAR).double()
    flux, ivar, _ = spectra()
    flux, ivar = flux.double(), ivar[0].double()
    same = chi2.conditioned(flux[0], ivar, 0.2)(flux)
    torch.testing.assert_close(model.conditioned(flux[0], ivar, 0.2)(flux), same, rtol=1e-9, atol=0)


@pytest.mark.parametrize("score", RECONSTRUCTION_SCORES)
def test_sums_of_pieces_are_scored_as_the_spectra_they_are(score: str) -> None:
    kind = ScoreKind.named(score)
    model = random_model(VariationalArchitecture(kind.form, score, 3, (16, 12, 8))).double()
    pieces, ivar, _ = spectra(4)
    pieces, ivar = pieces.double(), ivar[0].double()
    pieces[1, ivar == 0] = torch.nan  # masked
    likelihood = model.conditioned(pieces[0], ivar, 0.2)
    cheaper = likelihood.mixture(pieces)
    published = kind.form == "published"
    sums = kind.statistic == "mse" if published else kind.pixels == "all"
    assert (cheaper is not None) == (kind.percent == 100 and sums)
    if cheaper is not None:
        shares = torch.rand(3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(cheaper(shares), likelihood(shares @ pieces), rtol=1e-9, atol=1e-9)


def test_baselines_are_the_chosen_calibration_spectra_at_the_redshift(model: VariationalModel) -> None:
    chosen = np.array([5, 2, 9])
    expected = model.decode(model.calibration_latents[chosen], torch.full((3,), 0.3, dtype=torch.float64))
    assert torch.equal(model.baselines(0.3, chosen), expected)
    near, far = (model.baselines(redshift, chosen) for redshift in (0.1, 0.3))
    wavelength = torch.from_numpy(DESI_GRID.wavelength())
    pixel = torch.tensor([2000, 4000])
    moved = (wavelength[pixel] * 1.3 / 1.1 - DESI_GRID.start) / DESI_GRID.step
    low = moved.floor().long()
    share = (moved - low).float()
    there = far[:, low] * (1 - share) + far[:, low + 1] * share
    # Two interpolations of a spectrum as rough as these weights: alike, not equal.
    roughness = near.diff(dim=1).abs().max()
    assert (there - near[:, pixel]).abs().max() < roughness


REDSHIFT = torch.tensor([0.2], dtype=torch.float64)


def test_the_score_has_a_gradient_wherever_a_pixel_counts(model: VariationalModel) -> None:
    flux, ivar, _ = spectra(1)
    flux.requires_grad_()
    (gradient,) = torch.autograd.grad(model.outputs(flux, ivar, REDSHIFT).score.sum(), flux)
    assert torch.isfinite(gradient).all()
    assert ((gradient != 0) == (ivar > 0)).all()
    step = 1e-3 * torch.randn(flux.shape, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    model.double()
    base, weight = flux.detach().double(), ivar.double()
    above, below = (model.outputs(moved, weight, REDSHIFT).score for moved in (base + step, base - step))
    change = (above - below).sum() / 2
    assert float(change) == pytest.approx(float((gradient * step).sum()), rel=0.02)


@pytest.mark.parametrize("name", RECONSTRUCTION_SCORES)
def test_any_reconstruction_score_can_be_the_models(name: str) -> None:
    model = random_model(VariationalArchitecture("ivar", name, 3, (16, 12, 8)))
    flux, ivar, redshift = spectra(3)
    score = model.outputs(flux.abs() + 0.1, ivar, redshift).score
    assert torch.isfinite(score).all()


def test_saved_and_loaded_it_scores_the_same_bits(model: VariationalModel, tmp_path: Path) -> None:
    card = save_model(model, tmp_path / "vae")
    loaded = load_model(str(tmp_path / "vae"))
    assert isinstance(loaded, VariationalModel)
    assert loaded.card == card
    assert loaded.architecture == model.architecture
    assert torch.equal(loaded.outputs(*spectra()).score, model.outputs(*spectra()).score)
    assert torch.equal(loaded.baselines(0.2, np.arange(4)), model.baselines(0.2, np.arange(4)))
