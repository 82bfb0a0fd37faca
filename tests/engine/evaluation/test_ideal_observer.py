"""The bounds, against observers that are simulated in another way."""

from __future__ import annotations

import numpy as np
import pytest

from engine.evaluation.ideal_observer import known_place, unknown_place, unknown_shape
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


def test_a_search_for_anything_finds_less_than_one_for_the_shape() -> None:
    pixels = np.arange(2000)
    ivar = np.where(pixels % 7 == 0, 0.0, 1.0 + (pixels > 1000))[None]
    bump = np.exp(-0.5 * ((pixels - 900) / 12.0) ** 2)
    two = bump - np.exp(-0.5 * ((pixels - 1400) / 12.0) ** 2)
    found = []
    for shape in (bump, two):
        whitened = (shape * np.sqrt(ivar[0]))[None]
        arguments = ((5.0, 15.0), 0.01, np.random.default_rng(4))
        known, unknown = unknown_place(whitened, *arguments), unknown_shape(whitened, ivar, *arguments)
        assert unknown[0].auc < known[0].auc - 0.02
        assert unknown[1].auc > 0.999
        found.append(unknown[0].auc)
    # Half of the square of the strength in each of two places is less than all in one.
    assert found[1] < found[0] - 0.05


def test_a_stretch_is_found_by_the_stretch_that_it_is() -> None:
    pixels, strength = 256, 6.0
    ivar = np.random.default_rng(5).uniform(0.5, 2.0, (1, pixels))
    shape = np.zeros((1, pixels))
    shape[0, 64:128] = np.sqrt(ivar[0, 64:128])
    (bound,) = unknown_shape(shape, ivar, (strength,), 0.01, np.random.default_rng(6))
    # Against the largest of as many independent numbers: stretches overlap, so they are fewer.
    random = np.random.default_rng(7)
    noise = np.abs(random.standard_normal((4000, 500)).max(axis=1))
    assert bound.auc > area_under_curve(np.abs(random.standard_normal(4000) + strength), noise) - 0.01
