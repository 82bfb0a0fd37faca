"""Training of the variational model: learns, reproduces, resumes, keeps masked pixels out; its losses."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from models.errors import ConfigurationError
from models.grid import WavelengthGrid
from models.training.fit import TrainingPopulation, TrainingProgress
from models.training.spectra import TrainingSpectra, TrainingSplit
from models.variational.losses import Batch, LossWeights, loss, mean_discrepancy
from models.variational.model import VariationalArchitecture, VariationalModel
from models.variational.training import VariationalSettings, fit_variational

GRID = WavelengthGrid("test", "linear", 4000.0, 8.0, 400)
POPULATION = TrainingPopulation("toy", "lines on a slope", GRID, ("GALAXY",), 0.0, 0.3, 4500.0, 5000.0, 0.3)
SETTINGS = VariationalSettings(
    epochs=25,
    batch=16,
    learning_rate=3e-3,
    architecture=VariationalArchitecture(latents=3, hidden=(32, 16)),
    threads=1,
)
SHORT = dataclasses.replace(SETTINGS, epochs=4)
PUBLISHED = dataclasses.replace(
    VariationalSettings.published(),
    epochs=25,
    batch=16,
    learning_rate=3e-3,
    architecture=VariationalArchitecture("published", "published_mse_all_100", 3, (32, 16)),
    threads=1,
)


def toy(count: int, seed: int = 0) -> TrainingSpectra:
    """A slope and an emission line of varying strength, noise of varying level, gaps."""
    rng = np.random.default_rng(seed)
    redshift = rng.uniform(0, 0.3, count)
    rest = GRID.wavelength()[None] / (1 + redshift[:, None])
    slope, line = rng.normal(0, 0.3, (count, 1)), rng.uniform(0, 3, (count, 1))
    clean = 1 + slope * (rest - 4750) / 1000 + line * np.exp(-0.5 * ((rest - 4862.68) / 15) ** 2)
    noise = rng.uniform(0.05, 0.2, (count, 1))
    good = rng.random(clean.shape) > 0.05
    flux = np.where(good, clean + noise * rng.normal(size=clean.shape), 0).astype(np.float32)
    return TrainingSpectra(flux, np.where(good, noise**-2, 0).astype(np.float32), redshift)


def divided(spectra: TrainingSpectra) -> TrainingSplit:
    """A tenth for validation, a fifth for calibration."""
    count = len(spectra)
    validation, calibration, training = np.split(np.arange(count), [count // 10, count // 10 + count // 5])
    return TrainingSplit(spectra.take(training), spectra.take(validation), spectra.take(calibration))


def train(
    spectra: TrainingSpectra, settings: VariationalSettings = SETTINGS
) -> tuple[VariationalModel, list[TrainingProgress]]:
    log: list[TrainingProgress] = []
    return fit_variational(
        divided(spectra), POPULATION, settings, {"source": "toy"}, lambda progress, _: log.append(progress)
    ), log


def same_weights(first: VariationalModel, second: VariationalModel) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def chi2_per_pixel(spectra: TrainingSpectra, reconstruction: torch.Tensor) -> float:
    residual = spectra.flux - reconstruction.numpy()
    return float(np.median((spectra.ivar * residual**2).sum(axis=1) / (spectra.ivar > 0).sum(axis=1)))


@pytest.mark.parametrize("settings", [SETTINGS, PUBLISHED], ids=["ivar", "published"])
def test_reconstructs_held_out_spectra_better_than_the_usual_one(settings: VariationalSettings) -> None:
    model, _ = train(toy(600), settings)
    fresh = toy(200, seed=5)
    flux, ivar, redshift = (torch.from_numpy(part) for part in (fresh.flux, fresh.ivar, fresh.redshift))
    usual = model.frame.to_observed(model.usual.expand(len(fresh), -1), redshift)
    of_usual = chi2_per_pixel(fresh, usual)
    reached = chi2_per_pixel(fresh, model.outputs(flux, ivar, redshift).reconstruction)
    assert reached < 1 + 0.5 * (of_usual - 1)
    assert model.card.metrics["reconstruction_chi2_per_pixel"] == pytest.approx(reached, rel=0.25)


def test_is_reproducible_from_its_seed() -> None:
    spectra = toy(200)
    assert same_weights(train(spectra, SHORT)[0], train(spectra, SHORT)[0])
    assert not same_weights(train(spectra, SHORT)[0], train(spectra, dataclasses.replace(SHORT, seed=1))[0])


@pytest.mark.parametrize("garbage", [1e30, np.nan])
@pytest.mark.parametrize("form", [SHORT, dataclasses.replace(PUBLISHED, epochs=2)], ids=["ivar", "published"])
def test_garbage_behind_the_mask_changes_no_weight(form: VariationalSettings, garbage: float) -> None:
    spectra = toy(200)
    flux = np.where(spectra.ivar > 0, spectra.flux, np.float32(garbage))
    assert same_weights(train(spectra, form)[0], train(dataclasses.replace(spectra, flux=flux), form)[0])


def test_scores_of_the_population_are_calibrated() -> None:
    spectra = toy(1500)
    model, _ = train(spectra, dataclasses.replace(SETTINGS, epochs=8))
    assert model.calibration_size == 300
    fresh = toy(600, seed=9)
    parts = [torch.from_numpy(part) for part in (fresh.flux, fresh.ivar, fresh.redshift)]
    score = model.outputs(*parts).score.numpy()
    ratio = np.median(fresh.flux * np.sqrt(fresh.ivar), axis=1)
    tail = model.tail_probability(score, ratio, fresh.redshift)
    # The calibration's own scatter, of 300 spectra, and that of 600 fresh ones: four deviations.
    for share in (0.1, 0.5):
        scatter = math.sqrt(share * (1 - share) * (1 / 300 + 1 / 600))
        assert float((tail <= share).mean()) == pytest.approx(share, abs=4 * scatter)
    assert 0 < model.card.snr_min < model.card.snr_max < 100
    assert dict(model.card.calibration_quantiles)[0.5] == pytest.approx(np.median(score), rel=0.2)


def test_a_training_that_was_stopped_continues_to_the_same_model(tmp_path: Path) -> None:
    spectra, settings = divided(toy(200)), dataclasses.replace(SETTINGS, epochs=6)
    whole = fit_variational(spectra, POPULATION, settings, {}, lambda *_: None)
    epochs: list[int] = []

    class StoppedError(Exception):
        pass

    def stop_after_four(progress: TrainingProgress, _: VariationalModel) -> None:
        if progress.epoch == 4:
            raise StoppedError

    with pytest.raises(StoppedError):
        fit_variational(spectra, POPULATION, settings, {}, stop_after_four, tmp_path)
    model = fit_variational(
        spectra, POPULATION, settings, {}, lambda progress, _: epochs.append(progress.epoch), tmp_path
    )
    assert epochs == [5, 6]
    assert same_weights(whole, model)


def test_slows_down_and_stops_when_it_no_longer_helps() -> None:
    unrepairable = dataclasses.replace(SETTINGS, epochs=50, patience=7, learning_rate=1e-30)
    _, log = train(toy(200), unrepairable)
    assert [entry.best for entry in log] == [True] + 7 * [False]
    assert [entry.learning_rate for entry in log] == pytest.approx(6 * [1e-30] + 2 * [1e-31], rel=1e-9, abs=0)


def test_too_few_spectra() -> None:
    with pytest.raises(ConfigurationError, match=r"Too few spectra(.|\n)*got: 14 for training"):
        train(toy(20))


def test_the_usual_spectrum_is_the_populations_median() -> None:
    model, _ = train(toy(400), dataclasses.replace(SETTINGS, epochs=1))
    rest = np.power(10.0, model.frame.rest.numpy())
    inside = (rest > 4000) & (rest < 5500)
    expected = 1 + 1.5 * np.exp(-0.5 * ((rest - 4862.68) / 15) ** 2)
    np.testing.assert_allclose(model.usual.numpy()[inside], expected[inside], rtol=0, atol=0.25)


def test_the_loss_is_minus_the_evidence_bound_written_out() -> None:
    spectra = toy(16)
    model, _ = train(toy(200), dataclasses.replace(SETTINGS, epochs=1))
    parts = [torch.from_numpy(part) for part in (spectra.flux, spectra.ivar, spectra.redshift)]
    prior = torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
    value = loss(model, Batch(*parts, parts[1]), LossWeights(5.0, 0.0), torch.zeros(16, 3), prior)
    outputs = model.outputs(*parts)
    chi2 = (parts[1] * (parts[0] - outputs.reconstruction).square()).sum(dim=1)
    rest = model.taps(parts[1], parts[2]).apply(parts[0])
    posterior = torch.distributions.Normal(*_moments(model, rest))
    standard = torch.distributions.Normal(0.0, 1.0)
    divergence = torch.distributions.kl_divergence(posterior, standard).sum(dim=1)
    total = 0.5 * chi2 + divergence + 4.0 * mean_discrepancy(prior, outputs.latents)
    expected = (total / (parts[1] > 0).sum(dim=1)).mean()
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=0)


def _moments(model: VariationalModel, rest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mean, log_variance = model.encode_rest(rest)
    return mean, torch.exp(0.5 * log_variance)


def test_discrepancy_is_small_for_one_distribution_and_grows_with_distance() -> None:
    random = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 400, 4, generator=random)
    same, near, far = (float(mean_discrepancy(first, second + shift)) for shift in (0.0, 1.0, 3.0))
    assert 0 <= same < 0.01 < near < far
    assert mean_discrepancy(first, first) == pytest.approx(0.0, abs=1e-6)
