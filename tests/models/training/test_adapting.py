"""Adapting: the tail of ordinary spectra is uniform again, and outliers in the sample stay outliers."""

from __future__ import annotations

import copy
import dataclasses
import re

import numpy as np
import pytest
import torch

from models.errors import ConfigurationError, ErrorKind
from models.scoring.scoring_model import ScoringModel
from models.signal_to_noise import signal_to_noise
from models.training import adapting
from models.training.adapting import Adaptation, AdaptingSettings, adapt
from models.training.fit import TrainingSettings, fit
from models.training.spectra import TrainingSpectra, TrainingSplit
from tests.models.training.test_training import GRID, POPULATION, SETTINGS, divided, toy

pytestmark = pytest.mark.slow

ODD = 0.02


def foreign(count: int, seed: int, odd: float = ODD) -> tuple[TrainingSpectra, np.ndarray]:
    """Toy spectra with features, noise and a line that the model has not seen; some carry a bump besides."""
    spectra = toy(count, seed)
    random = np.random.default_rng((seed, 1))
    rest = GRID.wavelength()[None] / (1 + spectra.redshift[:, None])
    features = 1 + random.uniform(0.5, 1.5, (count, 1)) * 0.06 * np.sin(rest / 40)
    line = random.uniform(0, 0.5, (count, 1)) * np.exp(-0.5 * ((rest - 5008) / 12) ** 2)
    flux = spectra.flux * features + line + 0.06 * random.standard_normal(spectra.flux.shape)
    carries = random.random(count) < odd
    place = random.uniform(4200, 7000, (count, 1))
    bump = np.exp(-0.5 * ((GRID.wavelength()[None] - place) / 25) ** 2)
    flux += carries[:, None] * random.uniform(0.8, 2.0, (count, 1)) * bump
    return dataclasses.replace(spectra, flux=np.where(spectra.ivar > 0, flux, 0).astype(np.float32)), carries


def split_of(spectra: TrainingSpectra) -> TrainingSplit:
    """A quarter for the parts, four tenths for the calibration."""
    count = len(spectra)
    validation, calibration, training = np.split(np.arange(count), [count // 4, count * 13 // 20])
    return TrainingSplit(spectra.take(training), spectra.take(validation), spectra.take(calibration))


def trained() -> ScoringModel:
    settings: TrainingSettings = dataclasses.replace(SETTINGS, epochs=6, flow_epochs=5)
    return fit(divided(toy(400)), POPULATION, settings, {"source": "toy"}, lambda *_: None)


@pytest.fixture(scope="module")
def before() -> ScoringModel:
    """A trained model, which no test changes."""
    return trained()


def tails(model: ScoringModel, spectra: TrainingSpectra) -> np.ndarray:
    flux, ivar = torch.from_numpy(spectra.flux), torch.from_numpy(spectra.ivar)
    with torch.no_grad():
        score = model.outputs(flux, ivar, torch.from_numpy(spectra.redshift)).score.numpy()
    return model.tail_probability(score, signal_to_noise(flux, ivar), spectra.redshift)


@pytest.fixture(scope="module")
def adapted(before: ScoringModel) -> tuple[ScoringModel, Adaptation]:
    """The model adapted to a sample with outliers, and what changed."""
    model = copy.deepcopy(before)
    spectra, _ = foreign(1300, 70)
    return model, adapt(model, split_of(spectra), AdaptingSettings(seed=1, threads=2))


def test_tails_of_ordinary_spectra_are_uniform_after_and_not_before(
    before: ScoringModel, adapted: tuple[ScoringModel, Adaptation]
) -> None:
    model, changed = adapted
    clean, _ = foreign(300, 71, odd=0.0)
    assert np.median(tails(before, clean)) < 0.2
    rank = (np.arange(len(clean)) + 0.5) / len(clean)
    # Chance leaves 0.08 in one of twenty samples of 300, and the calibration is by 500.
    assert np.abs(np.sort(tails(model, clean)) - rank).max() < 0.1
    assert np.median(changed.tails_before) < 0.2
    assert np.median(changed.tails_after) == pytest.approx(0.5, abs=0.15)


def test_outliers_in_the_sample_stay_outliers(adapted: tuple[ScoringModel, Adaptation]) -> None:
    model, changed = adapted
    spectra, carries = foreign(200, 72, odd=0.5)
    found = tails(model, spectra)
    assert np.mean(found[carries] <= 0.01) > 0.8
    assert np.mean(found[~carries] <= 0.01) < 0.05
    assert all(0.005 < share <= 0.03 for share in changed.left_out)


def test_network_stays_and_what_makes_the_score_changes(
    before: ScoringModel, adapted: tuple[ScoringModel, Adaptation]
) -> None:
    old, new = before.state_dict(), adapted[0].state_dict()
    same = {name for name in old if old[name].shape == new[name].shape and torch.equal(old[name], new[name])}
    assert {name for name in old if name.startswith(("encoder.", "decoder.", "density."))} <= same
    for changed in ("residual_factors.modes", "scan.log_misfit", "calibration.tail_of_all.knots"):
        assert changed not in same


def test_the_same_sample_gives_the_same_model(
    before: ScoringModel, adapted: tuple[ScoringModel, Adaptation]
) -> None:
    again = copy.deepcopy(before)
    adapt(again, split_of(foreign(1300, 70)[0]), AdaptingSettings(seed=1, threads=2))
    for name, tensor in adapted[0].state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_fifty_spectra_are_refused_with_the_number_that_is_needed(before: ScoringModel) -> None:
    spectra, _ = foreign(50, 74)
    with pytest.raises(ConfigurationError) as caught:
        adapt(copy.deepcopy(before), split_of(spectra), AdaptingSettings())
    assert caught.value.kind is ErrorKind.TOO_FEW_SPECTRA
    assert caught.value.what == "Too few spectra to adapt a model to."
    assert caught.value.got == "50: 12 for the parts of the score, 20 for the calibration"
    wanted = re.fullmatch(r"at least 300 for either, about ([\d,]+) in all", caught.value.allowed)
    assert wanted is not None
    assert int(wanted[1].replace(",", "")) >= adapting.LEAST / 0.25
