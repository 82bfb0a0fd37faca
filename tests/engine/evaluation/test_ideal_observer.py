"""The bounds, against observers that are simulated in another way."""

from __future__ import annotations

import numpy as np
import pytest

from engine.evaluation.ideal_observer import known_place, unknown_place
from engine.evaluation.rates import area_under_curve, recall_at


def test_an_observer_who_knows_all_is_a_matched_filter() -> None:
    random = np.random.default_rng(0)
    for strength in (0.5, 1.0, 2.5):
        odd, clean = random.normal(size=20_000) + strength, random.normal(size=20_000)
        bound = known_place(strength, 0.01)
        assert bound.auc == pytest.approx(area_under_curve(odd, clean), abs=0.01)
        assert bound.recall == pytest.approx(recall_at(odd, clean, 0.01), abs=0.02)


def test_one_pixel_anywhere_is_found_as_by_the_largest_of_independent_pixels() -> None:
    # For one-pixel shapes the likelihood ratio is all but the largest pixel; drawn directly here.
    pixels, strength = 500, 4.0
    (bound,) = unknown_place(np.eye(1, pixels), (strength,), 0.01, np.random.default_rng(1))
    random = np.random.default_rng(2)
    noise = random.standard_normal((2, 4000, pixels))
    noise[1, :, 0] += strength
    clean, odd = noise.max(axis=2)
    assert bound.auc == pytest.approx(area_under_curve(odd, clean), abs=0.03)
    assert bound.auc > area_under_curve(odd, clean) - 0.015  # it is the optimum


def test_not_knowing_the_place_costs_the_more_the_narrower_the_shape() -> None:
    pixels = np.arange(3000)
    areas = []
    for width in (1.5, 20.0, 300.0):
        shape = np.exp(-0.5 * ((pixels - 1500) / width) ** 2)[None]
        weak, strong = unknown_place(shape, (3.0, 12.0), 0.01, np.random.default_rng(3))
        areas.append(weak.auc)
        assert weak.auc < known_place(3.0, 0.01).auc
        assert strong.auc > 0.999
    assert areas == sorted(areas)
    assert areas[2] - areas[0] > 0.1
