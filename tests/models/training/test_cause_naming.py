"""The examples that the naming of causes is fitted to: each shows its cause, as strongly as it was drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.causes.names import TEMPLATE_CAUSES
from models.scoring.naming import Naming
from models.scoring.scoring_model import ScoringModel
from models.training.naming import _STRENGTHS, _change, fit_naming
from models.training.spectra import TrainingSpectra

UNKNOWN = len(TEMPLATE_CAUSES)
REDSHIFT = 0.2


def spectra(model: ScoringModel, count: int) -> TrainingSpectra:
    generator = np.random.default_rng(5)
    flux = (1 + 0.2 * generator.standard_normal((count, model.card.grid.size))).astype(np.float32)
    ivar = np.full_like(flux, 25.0)
    ivar[:, :300] = 0
    return TrainingSpectra(flux, ivar, np.full(count, REDSHIFT))


@pytest.mark.parametrize("cause", [*TEMPLATE_CAUSES, "unknown"])
def test_an_example_is_as_strong_as_it_was_drawn(tiny_model: ScoringModel, cause: str) -> None:
    number = (*TEMPLATE_CAUSES, "unknown").index(cause)
    given = spectra(tiny_model, 1)
    flux, ivar = torch.from_numpy(given.flux[0]), torch.from_numpy(given.ivar[0])
    for seed in range(3):
        change = _change(tiny_model, flux, ivar, REDSHIFT, number, np.random.default_rng(seed))
        strength = float((change.square() @ ivar).sqrt())
        # Modes take something of a template, and so does the noise floor: it must be larger for that.
        assert strength > 0.5 * _STRENGTHS[0]
        if number == UNKNOWN:
            assert strength < 1.01 * _STRENGTHS[1]
            continue
        whitened, bank = tiny_model.whitened(flux, ivar, REDSHIFT), tiny_model.bank(cause)
        alone = replace(whitened, filtered=whitened.weight * change, modes=torch.zeros(len(flux), 1))
        found = bank.search(alone).significance
        found = found if bank.sign else found.abs()
        whole = float((change.square() @ whitened.weight).sqrt())
        # Overlapping lines count as apart, and noisy intervals count what the model is wrong by.
        assert 0.75 * whole < float(found.max()) < 1.3 * whole


def test_with_few_odd_spectra_the_naming_stays_what_it_is(tiny_model: ScoringModel) -> None:
    before = Naming().state_dict()
    fit_naming(tiny_model, spectra(tiny_model, 20), seed=1)
    assert all(torch.equal(tiny_model.joint.naming.state_dict()[name], before[name]) for name in before)


def test_spectra_are_left_as_they_are(tiny_model: ScoringModel) -> None:
    given = spectra(tiny_model, 8)
    flux = given.flux.copy()
    fit_naming(tiny_model, given, seed=1)
    np.testing.assert_array_equal(given.flux, flux)
