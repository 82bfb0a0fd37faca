"""Rival maps and blind scorers against what is known of simple models, and of the shipped kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.attribution.gradients import gradient_times_input, integrated_gradients
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.attribution.plain_occlusion import plain_occlusion
from engine.attribution.residuals import residual_map
from engine.attribution.subject import Subject, effects_of, subject_of
from engine.evaluation.blind_scorer import blind_subject, unseen_windows
from engine.evaluation.localisation import random_map
from models.errors import BugError
from models.scoring.scoring_model import ScoringModel
from models.spectrum_model import LogProb

PIXELS, MEMORY = 60, 2**26
SLOPE = torch.linspace(-2, 3, PIXELS, dtype=torch.float64)


def quadratic(spectra: torch.Tensor) -> torch.Tensor:
    return -(SLOPE**2 * spectra.double() ** 2).sum(dim=1)


def subject(log_prob: LogProb = quadratic, seed: int = 0) -> Subject:
    random = torch.Generator().manual_seed(seed)
    ivar = 1 + torch.rand(PIXELS, generator=random, dtype=torch.float64)
    ivar[[7, 31, 32]] = 0.0
    flux = torch.randn(PIXELS, generator=random)
    return Subject(flux, ivar, 0.1, log_prob, torch.zeros(PIXELS, dtype=torch.float64))


def test_residuals_are_in_units_of_their_noise() -> None:
    given = subject()
    good = given.good.numpy()
    flux, ivar = given.flux.double().numpy(), given.ivar.numpy()
    np.testing.assert_allclose(residual_map(given, 1), np.abs(flux) * np.sqrt(ivar))
    four = residual_map(given, 4)
    for pixel in (0, 1, 20, 58, 59):
        window = slice(max(pixel - 2, 0), min(pixel + 2, PIXELS))
        mean = np.average(flux[window], weights=ivar[window])
        np.testing.assert_allclose(four[pixel], np.abs(mean) * np.sqrt(ivar[window].sum()))
    assert not four[~good].any()


def test_residuals_of_noise_have_unit_variance_at_every_width() -> None:
    random = torch.Generator().manual_seed(3)
    ivar = 0.5 + torch.rand(20_000, generator=random, dtype=torch.float64)
    noise = torch.randn(20_000, generator=random, dtype=torch.float64) / torch.sqrt(ivar)
    given = Subject(noise.float(), ivar, 0.1, quadratic, torch.zeros(20_000, dtype=torch.float64))
    for width in (1, 16, 64):
        scatter = float((residual_map(given, width) ** 2).mean())
        assert abs(scatter - 1) < 5 * np.sqrt(2 * width / 20_000)


def test_gradients_of_a_quadratic_score() -> None:
    given = subject()
    expected = torch.where(given.good, 2 * SLOPE**2 * given.flux.double() ** 2, 0).numpy()
    np.testing.assert_allclose(gradient_times_input(given), expected)


def test_integrated_gradients_add_up_to_the_score() -> None:
    given = subject()
    baselines = torch.randn(3, PIXELS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = integrated_gradients(given, baselines)
    flux = given.flux.double()
    terms = SLOPE**2 * (flux**2 - (baselines**2).mean(dim=0))
    np.testing.assert_allclose(found, torch.where(given.good, terms, 0).numpy(), atol=1e-12)
    assert not found[~given.good.numpy()].any()


def test_plain_occlusion_is_the_score_less_that_without_the_window() -> None:
    given = subject()
    replacement = torch.full((PIXELS,), 0.25)
    one, four = plain_occlusion(given, replacement, (1, 4), MEMORY)
    good, flux = given.good, given.flux.double()
    gain = torch.where(good, SLOPE**2 * (flux**2 - 0.25**2), 0).numpy()
    np.testing.assert_allclose(one, gain, atol=1e-12)
    np.testing.assert_allclose(four[20], gain[18:22].sum(), atol=1e-12)
    assert not four[~good.numpy()].any()


def test_random_maps_follow_their_seed() -> None:
    given = subject()
    assert np.array_equal(random_map(given, 1), random_map(given, 1))
    assert not np.array_equal(random_map(given, 1), random_map(given, 2))
    assert not random_map(given, 1)[~given.good.numpy()].any()


def odd_spectrum(model: ScoringModel) -> tuple[Subject, np.ndarray]:
    """A decoded galaxy with noise, something injected in it, and the pixels it is on."""
    random = np.random.default_rng(4)
    ivar = np.full(model.card.grid.size, 100.0, dtype=np.float32)
    ivar[random.random(len(ivar)) < 0.02] = 0.0
    flux = model.baselines(0.2, np.array([5])).numpy()[0] + 0.1 * random.standard_normal(len(ivar))
    injected = np.zeros(len(ivar), dtype=np.bool_)
    injected[3000:3090] = True
    flux = np.where(ivar > 0, flux + injected, 0).astype(np.float32)
    return subject_of(model.double(), flux, ivar, 0.2), injected


@pytest.mark.parametrize("preset", ["paper", "reference-code"])
def test_what_the_scorer_cannot_see_gets_exactly_nothing(tiny_model: ScoringModel, preset: str) -> None:
    given, injected = odd_spectrum(tiny_model)
    blind = blind_subject(tiny_model, given, injected)
    settings = OcclusionSettings(preset, (1, 16, 64), baselines=2)  # type: ignore[arg-type]
    baselines = tiny_model.baselines(0.2, settings.draw(tiny_model.calibration_size))
    effects = effects_of(blind, baselines, settings, MEMORY)
    checked = unseen_windows(effects, preset, injected)  # type: ignore[arg-type]
    assert checked > 60
    # The scorer that sees them does blame them: the check can fail.
    seeing = effects_of(given, baselines, settings, MEMORY)
    with pytest.raises(BugError, match="does not see"):
        unseen_windows(seeing, preset, injected)  # type: ignore[arg-type]
    for found in (
        gradient_times_input(blind),
        integrated_gradients(blind, baselines),
        plain_occlusion(blind, torch.zeros_like(given.flux), (1,), MEMORY)[0],
    ):
        assert not found[injected].any()
        assert found[~injected].any()


def test_a_subject_is_scored_as_the_model_scores_it(tiny_model: ScoringModel) -> None:
    given, _ = odd_spectrum(tiny_model)
    redshift = torch.tensor([given.redshift], dtype=torch.float64)
    outputs = tiny_model.outputs(given.flux[None].double(), given.ivar[None], redshift)
    torch.testing.assert_close(-given.log_prob(given.flux[None].double()), outputs.score)
    torch.testing.assert_close(given.reconstruction, outputs.reconstruction[0])
    hidden = replace(given, flux=torch.where(given.good, given.flux, 9.0))
    torch.testing.assert_close(
        gradient_times_input(hidden), gradient_times_input(given), rtol=1e-9, atol=1e-12
    )
