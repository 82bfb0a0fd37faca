"""Intervals of shares: scipy's exact ones, and never narrower for repeated spectra."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from engine.match.intervals import effective_number, share


@given(numbers=st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
@settings(max_examples=60, deadline=None)
def test_shares_have_the_exact_interval(numbers: tuple[int, int]) -> None:
    found, of = numbers
    interval, expected = share(found, of), binomtest(found, of).proportion_ci(0.95, "exact")
    assert interval.value == found / of
    np.testing.assert_allclose((interval.low, interval.high), (expected.low, expected.high), atol=1e-12)
    assert interval.low <= interval.value <= interval.high


@pytest.mark.parametrize("truth", [0.003, 0.2, 0.5, 0.97])
def test_the_interval_holds_at_least_as_often_as_it_says(truth: float) -> None:
    every = [share(found, 40) for found in range(41)]
    held = [each.low <= truth <= each.high for each in every]
    assert binom.pmf(np.flatnonzero(held), 40, truth).sum() >= 0.95


def test_of_nothing_nothing_is_known() -> None:
    interval = share(0, 0)
    assert all(map(math.isnan, (interval.value, interval.low, interval.high)))


@given(spectra=st.lists(st.integers(0, 9), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_repeated_spectra_count_for_less(spectra: list[int]) -> None:
    counts = np.array(spectra)
    objects, total = int((counts > 0).sum()), int(counts.sum())
    effective = effective_number(counts)
    assert effective <= objects + 1e-9
    if counts.max() <= 1:
        assert effective == total
    elif len(set(counts[counts > 0])) == 1:
        assert effective == pytest.approx(objects)  # copies of each object say no more than one
