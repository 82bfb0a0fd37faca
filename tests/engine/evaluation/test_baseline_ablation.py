"""Baselines by source, and what their number does, on a small random model."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
import torch

from engine.attribution.baselines import nearest_calibration
from engine.attribution.occlusion.settings import OcclusionSettings
from engine.attribution.subject import subject_of
from engine.evaluation.baseline_ablation import ablate_baselines
from engine.evaluation.explained_injections import ExplanationSettings
from engine.evaluation.held_out_spectra import HeldOutSettings
from engine.evaluation.injected_spectra import CleanSpectra, prepare_clean_spectra
from engine.evaluation.observed_baselines import observed_baselines
from engine.simulation.anomalies import AnomalyKind
from models.errors import ConfigurationError
from models.scoring.scoring_model import ScoringModel
from tests.conftest import random_model


@pytest.fixture(scope="module")
def model() -> ScoringModel:
    return copy.deepcopy(random_model()).double()


@pytest.fixture(scope="module")
def clean(model: ScoringModel) -> CleanSpectra:
    return prepare_clean_spectra(model.card, HeldOutSettings(spectra=6, seed=3), (AnomalyKind.ARM_STEP,))


def test_the_nearest_are_the_nearest_and_an_anomaly_does_not_choose(model: ScoringModel) -> None:
    clean = model.baselines(0.3, np.array([17]))[0].numpy().astype(np.float32)
    ivar = np.full_like(clean, 400.0)
    spiked = clean.copy()
    spiked[1000:1010] += 1000.0
    for flux in (clean, spiked):
        subject = subject_of(model, flux, ivar, 0.3)
        nearest = subject.decoder.baselines(nearest_calibration(subject, 3))
        torch.testing.assert_close(nearest[0], torch.from_numpy(clean).double(), rtol=1e-5, atol=1e-5)
        far = ((nearest - torch.from_numpy(clean)).square()).sum(dim=1)
        assert (far.diff() >= 0).all()
    others = subject.decoder.baselines(np.arange(20))
    assert far[-1] < ((others - torch.from_numpy(clean)).square()).sum(dim=1).median()


def test_observed_baselines_are_the_spectra_moved(model: ScoringModel, clean: CleanSpectra) -> None:
    spectra = clean.normalised
    first = float(spectra.rows["redshift"][0])
    same = subject_of(model, spectra.flux[1], spectra.ivar[1], first)
    (unmoved,) = observed_baselines(same, spectra, np.array([0]), model.card.grid)
    good = spectra.ivar[0] > 0
    np.testing.assert_allclose(unmoved[good], spectra.flux[0][good], rtol=1e-5, atol=1e-5)
    assert torch.isfinite(unmoved).all()
    # Twice the factor: what was at a wavelength is now at twice that, and the blue half is decoded.
    stretched = subject_of(model, spectra.flux[1], spectra.ivar[1], 2 * (1 + first) - 1)
    (moved,) = observed_baselines(stretched, spectra, np.array([0]), model.card.grid)
    wavelength = model.card.grid.wavelength()
    shifted = np.interp(wavelength / 2, wavelength[good], spectra.flux[0][good])
    edge = 2 * wavelength[good][0]
    inside, outside = wavelength > edge, wavelength < edge
    np.testing.assert_allclose(moved[inside], shifted[inside], rtol=1e-6)
    decoded = stretched.decoder.baselines(np.array([0]))[0]
    np.testing.assert_array_equal(moved[outside], decoded[outside])


def test_numbers_and_sources_come_from_one_occlusion_each(model: ScoringModel, clean: CleanSpectra) -> None:
    settings = ExplanationSettings(
        spectra=1, strengths=(40.0,), occlusion=OcclusionSettings(windows=(64, 512))
    )
    found = ablate_baselines(model, clean, settings, (2, 1), ("inverse-variance", "mean"))
    asked = [(each.source, each.baselines, each.combination) for each in found]
    assert asked == [
        (source, number, name)
        for source in ("decoded", "nearest", "observed")
        for number in (1, 2)
        for name in ("inverse-variance", "mean")
    ]
    for each in found:
        assert each.located.count == 1
        # There are no two disjoint sets of the largest number.
        assert (abs(each.repeats.value) <= 1) == (each.baselines == 1)
        json.dumps(each.to_dict(), allow_nan=False)
    with pytest.raises(ConfigurationError, match="more than 64"):
        ablate_baselines(model, clean, settings)
