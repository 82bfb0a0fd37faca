"""Rates of detection against what they must be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.evaluation.rates import area_under_curve, bootstrap, recall_at, share

values = st.lists(st.integers(-3, 3), min_size=1, max_size=12).map(lambda found: np.array(found, float))


@given(values, values)
def test_the_area_is_the_share_of_pairs_in_order(odd: np.ndarray, clean: np.ndarray) -> None:
    pairs = [1.0 if high > low else 0.5 if high == low else 0.0 for high in odd for low in clean]
    assert area_under_curve(odd, clean) == pytest.approx(np.mean(pairs))


def test_recall_never_lets_more_clean_spectra_pass_than_allowed() -> None:
    random = np.random.default_rng(0)
    for count in (20, 99, 100, 350):
        clean = random.normal(size=count)
        assert recall_at(clean, clean, 0.01) <= 0.01
    assert recall_at(np.array([1.0, 5.0]), np.arange(5.0), 0.0) == 0.5


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    truth = 0.7602499389065233  # normal distributions one standard deviation apart: Phi(1 / sqrt 2)
    held = 0
    for seed in range(150):
        clean = random.normal(size=80)
        area, recall = bootstrap(random.normal(size=80) + 1, clean, 0.1, seed)
        held += area.low <= truth <= area.high
        assert area.low <= area.value <= area.high
        assert recall.low <= recall.value <= recall.high
    assert 0.88 <= held / 150 <= 0.995


def test_the_two_halves_of_a_pair_are_drawn_together() -> None:
    # Pairs that hardly differ: whatever the draw, half of the order is chance and nothing is uncertain.
    clean = np.random.default_rng(2).normal(size=200)
    area, _ = bootstrap(clean + 1e-9, clean, 0.01, 0)
    assert area.high - area.low < 0.01


def test_what_has_no_value_counts_as_not_seen() -> None:
    odd, clean = np.array([-np.inf, 3.0]), np.array([-np.inf, 1.0])
    area, recall = bootstrap(odd, clean, 0.01, 0)
    assert area.value == area_under_curve(odd, clean) == 0.625
    assert recall.value == 0.5


def test_shares_keep_their_distance_from_certainty() -> None:
    for count in range(1, 40):
        assert share(np.zeros(count, dtype=bool)).low == 0
        assert share(np.ones(count, dtype=bool)).high == 1
    none, some = share(np.zeros(50, dtype=bool)), share(np.arange(50) < 10)
    assert none.low == none.value == 0
    assert 0.03 < none.high < 0.1
    assert some.low < some.value == 0.2 < some.high
    assert np.isnan(share(np.zeros(0, dtype=bool)).value)
