"""Significance of places: trials are counted, and chance shows what it is said to show."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from engine.attribution.places import WIDTHS
from engine.attribution.significance import Significance, chance_sigma, trials_in


def test_a_trial_is_an_interval_whose_neighbours_overlap_by_half() -> None:
    assert trials_in(0) == 0
    assert trials_in(1) == 1
    assert trials_in(4) == 4 + 4 + 2 + 2
    assert trials_in(7781) == pytest.approx(7781 * (2 * sum(1 / width for width in WIDTHS) - 1), rel=1e-3)


def test_chance_is_the_median_of_the_largest_of_so_many() -> None:
    """Of one trial the median of |x|, 0.6745; of many that of which all are below in half of all cases."""
    assert chance_sigma(1) == pytest.approx(0.67449, abs=1e-5)
    assert norm.cdf(chance_sigma(10**9)) ** 10**9 == pytest.approx(0.5**0.5, rel=1e-4)
    random = np.random.default_rng(4)
    largest = np.abs(random.standard_normal((400, 5000))).max(axis=1)
    assert chance_sigma(5000) == pytest.approx(float(np.median(largest)), abs=0.06)
    assert math.isnan(chance_sigma(0))


def test_intervals_of_noise_show_what_is_said() -> None:
    """The most significant of all intervals of all widths in pure noise, its median over 300 spectra."""
    random, largest = np.random.default_rng(1), []
    for _ in range(300):
        sums = np.concatenate([[0.0], np.cumsum(random.standard_normal(3000))])
        largest.append(max(np.abs(sums[w:] - sums[:-w]).max() / math.sqrt(w) for w in WIDTHS))
    assert chance_sigma(trials_in(3000)) == pytest.approx(float(np.median(largest)), abs=0.12)


def test_it_is_told_in_words() -> None:
    # Of 18 million trials.
    told = str(Significance(7.31, 12, 9000, 2000))
    assert (
        told
        == "7.3 sigma in 12 pixels; of 2,000 spectra with 9,000 places each, chance shows up to 5.5 sigma"
    )
    assert str(Significance(4.0, 1, 9000, 1)).startswith("4.0 sigma in 1 pixel; of 1 spectrum with 9,000 ")
    assert str(Significance(math.nan, 0, 9000, 10)).startswith("of 10 spectra with 9,000 places each, chance")
