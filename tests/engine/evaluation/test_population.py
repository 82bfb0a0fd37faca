"""The population: what looks like usual spectra is hidden by them, what does not is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.evaluation.effective_strength import TEMPLATES, effective_strengths
from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.evaluation.ideal_observer import known_covariance, known_place
from engine.evaluation.injected_spectra import CleanSpectra
from engine.evaluation.population import Population
from engine.evaluation.training_spectra import training_spectra
from engine.simulation.anomalies import AnomalyKind
from tests.conftest import random_model


@pytest.fixture(scope="module")
def population() -> Population:
    return Population.of(training_spectra(random_model().card, HeldOutSettings(12, 5), 300))


def test_effective_strengths_are_those_of_the_whole_covariance(population: Population) -> None:
    random = np.random.default_rng(0)
    pixels = population.frame.card.grid.size
    seen = np.arange(3000, 3300)  # small enough to write the covariance down
    ivar = np.zeros(pixels, np.float32)
    ivar[seen] = random.uniform(5, 20, len(seen))
    truth, changes = np.full(pixels, 1.2, np.float32), random.normal(size=(2, pixels))
    light = population.frame.observed(population.light, 0.2)[seen].astype(float)
    flaws = 1.2 * population.calibration[seen].astype(float)
    left = population.frame.observed(population.left, 0.2)[seen, 0]
    covariance = np.diag(population.noise**2 / ivar[seen] + left) + light @ light.T + flaws @ flaws.T
    expected = [np.sqrt(each @ np.linalg.solve(covariance, each)) for each in changes[:, seen]]
    assert population.effective(changes, truth, ivar, 0.2) == pytest.approx(expected, rel=1e-3)


def test_spikes_keep_their_strength_and_tilts_do_not(population: Population, clean: CleanSpectra) -> None:
    effective = effective_strengths(clean, population)
    assert set(effective) == set(TEMPLATES) == set(AnomalyKind)
    spikes, tilts, steps = (
        np.nanmedian(effective[kind])
        for kind in (AnomalyKind.COSMIC_RAYS, AnomalyKind.TILT, AnomalyKind.ARM_STEP)
    )
    # The noise is smaller than it is stated to be, so that spikes gain a little.
    assert 0.8 / population.noise < spikes <= 1.001 / population.noise
    assert tilts < steps < 0.6 * spikes


def test_what_nothing_resembles_is_as_strong_as_against_noise(
    population: Population, clean: CleanSpectra
) -> None:
    alone = replace(
        population,
        light=np.zeros_like(population.light),
        left=np.zeros_like(population.left),
        calibration=np.zeros_like(population.calibration),
        noise=1.0,
    )
    for kind, strengths in effective_strengths(clean, alone).items():
        able = clean.carriers(kind, 0.0)
        assert strengths[able] == pytest.approx(np.ones(len(able)), rel=1e-4)


def test_the_observer_with_one_template_is_the_one_who_knows_the_place() -> None:
    (bound,) = known_covariance(np.full(4000, 0.5), 1, (4.0,), 0.01, np.random.default_rng(1))
    known = known_place(2.0, 0.01)
    assert bound.auc == pytest.approx(known.auc, abs=0.02)
    assert bound.recall == pytest.approx(known.recall, abs=0.05)


def test_more_templates_find_less() -> None:
    areas = [
        known_covariance(np.ones(2000), templates, (4.0,), 0.01, np.random.default_rng(2))[0].auc
        for templates in (1, 30, 8000)
    ]
    assert areas == sorted(areas, reverse=True)
    assert 0.6 < areas[2] < 0.95 < areas[0]
