"""Insertion, deletion, CPD and CPP against closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.benchmark.removal import Removal
from engine.benchmark.removal_curves import MOVED_SHARE, counts, curve_measures, order

PIXELS = 200


def linear(weights: np.ndarray, flux: np.ndarray, masked: int = 0) -> Removal:
    """A score that is a weighted sum of flux, of which masked pixels cannot be removed."""
    good = np.arange(len(flux)) >= masked
    return Removal(flux, np.zeros_like(flux), good, lambda spectra: spectra @ weights)


def test_one_odd_pixel_that_comes_first_is_all_there_is() -> None:
    weights = np.zeros(PIXELS)
    weights[17] = 1.0
    removal = linear(weights, np.full(PIXELS, 5.0))
    found = curve_measures(weights, removal)
    # The score falls from 1 to 0 within the first step of the curve, and comes back within it.
    first = counts(PIXELS, 16)[1] / PIXELS
    assert found["deletion"] == pytest.approx(first / 2)
    assert found["insertion"] == pytest.approx(1 - first / 2)
    assert (found["cpd"], found["cpp"]) == (1.0, 0.0)
    worst = curve_measures(-weights, removal)
    assert worst["deletion"] > 0.9
    # CPD and CPP rank by size: the sign of a map makes no difference to them.
    assert (worst["cpd"], worst["cpp"]) == (1.0, 0.0)


def test_signs_do_not_cancel_in_cpd() -> None:
    weights = np.zeros(PIXELS)
    weights[10], weights[20], weights[30] = 3.0, -2.0, 0.5
    removal = linear(weights, np.ones(PIXELS))
    assert removal.rise == 1.5
    # Each of the first removed pixels is a step of its own, so every move counts.
    assert counts(round(MOVED_SHARE * PIXELS), 10)[:3].tolist() == [0, 1, 2]
    found = curve_measures(weights, removal)
    assert found["cpd"] == pytest.approx((3.0 + 2.0 + 0.5) / 1.5)
    assert found["cpp"] == 0.0


@given(st.integers(0, 2**32 - 1), st.integers(0, 20))
def test_curves_are_those_of_a_loop_over_pixels(seed: int, masked: int) -> None:
    random = np.random.default_rng(seed)
    weights, flux, values = (
        random.uniform(0.1, 1, PIXELS),
        random.uniform(0.5, 2, PIXELS),
        random.normal(size=PIXELS),
    )
    removal = linear(weights, flux, masked)
    pixels = [p for p in sorted(range(PIXELS), key=lambda p: -values[p]) if p >= masked]
    assert order(values, removal.good).tolist() == pixels
    terms = weights * flux
    total = terms[masked:].sum()
    known = counts(len(pixels), 16)
    left = [1 - terms[pixels[:k]].sum() / total for k in known]
    back = [terms[pixels[:k]].sum() / total for k in known]
    found = curve_measures(values, removal)
    assert found["deletion"] == pytest.approx(np.trapezoid(left, known / len(pixels)))
    assert found["insertion"] == pytest.approx(np.trapezoid(back, known / len(pixels)))
    by_size = sorted(pixels, key=lambda p: -abs(values[p]))
    tenth = round(MOVED_SHARE * len(pixels))
    # All weights are positive, so the moves are the sum of what is removed.
    assert found["cpd"] == pytest.approx(terms[by_size[:tenth]].sum() / total)
    assert found["cpp"] == pytest.approx(terms[by_size[-tenth:]].sum() / total)


def test_a_score_that_does_not_rise_has_no_shares() -> None:
    removal = linear(-np.ones(PIXELS), np.ones(PIXELS))
    assert all(np.isnan(each) for each in curve_measures(np.arange(PIXELS), removal).values())
