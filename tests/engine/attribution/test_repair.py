"""Repair: the change is where the oddity is, as small as need be, and ends at a usual spectrum."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.attribution.repair import REPAIR, RepairSettings
from engine.attribution.subject import subject_of
from engine.attribution.usual_score import usual_score
from models.errors import ConfigurationError
from models.scoring.scoring_model import ScoringModel
from models.signal_to_noise import signal_to_noise
from tests.engine.attribution.simple_subjects import PIXELS, simple_subject


def chi_squared(spectra: torch.Tensor) -> torch.Tensor:
    return -spectra.double().square().sum(dim=1)


def bump(height: float = 3.0) -> torch.Tensor:
    flux = torch.zeros(PIXELS)
    flux[40:46] = height
    return flux


def test_the_change_is_where_the_oddity_is_and_no_larger_than_it_need_be() -> None:
    given = simple_subject(chi_squared, flux=bump(), usual=-9.0)
    found = REPAIR.attribute(given, RepairSettings())
    assert found.baseline is not None
    assert found.score == pytest.approx(54)
    # To lower the sum of squares from 54 to 9, a bump of 3 has to become one of sqrt(9 / 6).
    assert 7.5 < found.baseline_score <= 9.0
    assert set(np.flatnonzero(found.combined)) == set(range(40, 46))
    change = (given.flux.double() - torch.from_numpy(found.baseline)) / given.sigma.where(given.good, 1.0)
    np.testing.assert_allclose(found.combined, np.abs(change.numpy()), atol=1e-6)
    smallest = float(((bump() * (1 - np.sqrt(9 / 54))) / given.sigma.where(given.good, 1.0)).norm())
    assert np.linalg.norm(found.combined) < 1.2 * smallest
    assert REPAIR.units(RepairSettings()).combined == "sigma"


def test_a_usual_spectrum_is_not_changed() -> None:
    given = simple_subject(chi_squared, flux=bump(0.1), usual=-9.0)
    found = REPAIR.attribute(given, RepairSettings())
    assert not found.combined.any()
    np.testing.assert_array_equal(found.baseline, given.flux.numpy())
    assert found.baseline_score == found.score


def test_where_there_is_no_repair_the_baselines_score_says_so() -> None:
    given = simple_subject(lambda spectra: chi_squared(spectra) - 100, flux=bump(), usual=-9.0)
    found = REPAIR.attribute(given, RepairSettings(rounds=2, steps=3))
    assert 100 <= found.baseline_score < found.score


def test_masked_pixels_take_no_part() -> None:
    flux = bump()
    flux[31] = 1e6
    given = simple_subject(lambda spectra: chi_squared(spectra * (given.ivar > 0)), flux=flux, usual=-9.0)
    found = REPAIR.attribute(given, RepairSettings())
    assert found.combined[31] == 0
    assert found.baseline is not None
    assert found.baseline[31] == flux[31]


def test_usual_is_what_the_models_tail_says(tiny_model: ScoringModel) -> None:
    model = tiny_model.double()
    flux = model.baselines(0.2, np.array([5]))[0].float()
    ivar = torch.full_like(flux, 100.0)
    score = usual_score(model, flux, ivar, 0.2, 0.02)
    ratio = signal_to_noise(flux[None], ivar[None])
    tails = model.tail_probability(np.array([score - 1e-6, score + 1e-3]), ratio.repeat(2), np.full(2, 0.2))
    assert tails[0] > 0.02 >= tails[1]
    given = subject_of(model, flux.numpy(), ivar.numpy(), 0.2)
    assert given.model_anew.usual_log_prob(0.02) == -score
    seen = torch.ones(1, len(flux), dtype=torch.bool)
    drawn = given.model_anew.drawn_from(flux.double()[None], seen)
    torch.testing.assert_close(drawn[0], given.reconstruction)
    seen[:, 1000:3000] = False
    assert not torch.equal(given.model_anew.drawn_from(flux.double()[None], seen)[0], drawn[0])


@pytest.mark.parametrize(("name", "value"), [("usual", 0.0), ("usual", 0.9), ("rounds", 0), ("steps", 0)])
def test_settings_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=rf"repair settings, {name}\n  got: {value}"):
        RepairSettings.from_dict({name: value})
