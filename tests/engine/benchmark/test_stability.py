"""Noise, other settings and shuffled weights: what is changed, and by how much."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.attribution.agreement import rank_correlation
from engine.attribution.methods import METHODS
from engine.benchmark.contenders import neighbours, own_contender, own_name
from engine.benchmark.stability import (
    NOISE,
    change_of_form,
    noisier,
    relative_change,
    shuffled,
)
from models.scoring.scoring_model import ScoringModel


def test_changes_of_maps() -> None:
    before, after = np.array([3.0, 4.0]), np.array([3.0, 9.0])
    assert relative_change(before, after) == 1.0
    assert change_of_form(before, 7 * before) == pytest.approx(0)
    assert change_of_form(before, -before) == pytest.approx(2)
    assert np.isnan(change_of_form(before, 0 * before))
    assert rank_correlation(np.array([[1.0, 2, 3], [1.0, 10, 100]])) == pytest.approx(1)
    assert np.isnan(rank_correlation(np.stack([before, np.full(2, np.nan)])))


def test_noise_is_of_each_pixel_and_masked_ones_stay() -> None:
    ivar = np.repeat(np.array([0.0, 4.0, 100.0], np.float32), 4000)
    change = noisier(np.ones(12000, np.float32), ivar, 7) - 1
    assert not change[:4000].any()
    assert change[4000:8000].std() == pytest.approx(NOISE / 2, rel=0.05)
    assert change[8000:].std() == pytest.approx(NOISE / 10, rel=0.05)


def test_shuffled_weights_are_the_same_numbers_elsewhere(tiny_model: ScoringModel) -> None:
    found = shuffled(tiny_model, 1)
    moved = 0
    for before, after in zip(tiny_model.parameters(), found.parameters(), strict=True):
        assert torch.equal(before.flatten().sort().values, after.flatten().sort().values)
        moved += int((before != after).sum())
    assert moved > 1000
    again = shuffled(tiny_model, 1).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in found.state_dict().items())


def test_other_settings_than_the_defaults_are_in_the_name() -> None:
    assert own_name(METHODS["lime"].settings()) == "lime"
    assert own_name(METHODS["lime"].settings(width=32, samples=500)) == "lime.width-32.samples-500"
    windows = METHODS["residual"].settings(windows=(1, 16))
    assert own_contender(windows).name == "residual.windows-1-16"


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_the_neighbours_that_its_settings_allow(name: str) -> None:
    settings = METHODS[name].settings()
    found = neighbours(settings)
    assert settings not in found
    assert (
        len(set(found))
        == len(found)
        == ("seed" in settings.names())
        + bool(
            {"samples", "steps", "windows", "width", "widths", "areas", "baselines", "permutations"}
            & set(settings.names())
        )
    )
