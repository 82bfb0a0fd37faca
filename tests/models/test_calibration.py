"""Tail probabilities by their definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from models.calibration import quantiles, tail_probability

finite = st.floats(-1e6, 1e6)


@given(
    hnp.arrays(np.float64, st.integers(1, 40), elements=finite),
    hnp.arrays(np.float64, st.integers(1, 40), elements=finite),
)
def test_counts_calibration_scores_at_least_as_high(score: np.ndarray, calibration: np.ndarray) -> None:
    expected = [(1 + sum(c >= s for c in calibration)) / (1 + len(calibration)) for s in score]
    got = tail_probability(score, np.sort(calibration))
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    assert (got > 0).all()


def test_nan_score_has_nan_tail_probability() -> None:
    assert np.isnan(tail_probability(np.array([np.nan]), np.arange(5.0)))[0]


def test_a_spectrum_like_the_calibration_set_is_below_p_with_probability_p() -> None:
    rng = np.random.default_rng(0)
    tail = tail_probability(rng.normal(size=20000), np.sort(rng.normal(size=20000)))
    for p in (0.01, 0.1, 0.5):
        assert abs((tail <= p).mean() - p) < 4 * np.sqrt(2 * p / 20000)


def test_quantiles_are_pairs_in_order() -> None:
    pairs = quantiles(np.arange(1001.0))
    assert dict(pairs)[0.5] == 500.0
    assert [s for _, s in pairs] == sorted(s for _, s in pairs)
