"""The aggregate of several methods, and their agreement."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from engine.attribution.aggregate import AGGREGATE, AggregateSettings
from engine.attribution.agreement import rank_correlation
from engine.attribution.methods import METHODS
from models.errors import ConfigurationError
from tests.engine.attribution.simple_subjects import PIXELS, simple_subject

MEMBERS = ("saliency", "gradient-times-input", "segment-gradients")


def test_the_mean_of_normalised_maps_and_their_rank_correlation() -> None:
    curve = torch.linspace(0.5, 2, PIXELS, dtype=torch.float64)
    given = simple_subject(lambda spectra: -(curve * spectra.double().square()).sum(dim=1))
    found = AGGREGATE.attribute(given, AggregateSettings(MEMBERS))
    maps = [METHODS[name].attribute(given, METHODS[name].settings()).combined for name in MEMBERS]
    normalised = np.array([each / np.abs(each).sum() for each in maps])
    np.testing.assert_allclose(found.combined, normalised.mean(axis=0))
    np.testing.assert_allclose(found.spread[0], normalised.std(axis=0))
    good = given.good.numpy()
    pairs = [spearmanr(maps[i][good], maps[j][good]).statistic for i, j in ((0, 1), (0, 2), (1, 2))]
    assert found.agreement == pytest.approx(np.mean(pairs))


def test_the_same_map_twice_agrees_and_a_uniform_one_cannot_say() -> None:
    ramp = np.arange(9.0)
    assert rank_correlation(np.stack([ramp, ramp**3])) == pytest.approx(1)
    assert rank_correlation(np.stack([ramp, -ramp])) == pytest.approx(-1)
    assert np.isnan(rank_correlation(np.stack([ramp, np.zeros(9)])))


@pytest.mark.parametrize("methods", [("residual",), ("residual", "residual"), ("residual", "aggregate"), ()])
def test_members_are_two_or_more_other_methods(methods: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="aggregate settings, methods"):
        AggregateSettings(methods)
