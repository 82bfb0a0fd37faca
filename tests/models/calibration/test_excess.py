"""The excess of high scores: outliers are found, ordinary tails are left alone, and kept in number."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.calibration.excess import find_excess
from models.scoring.joint_score import shares

SHARES = np.array(shares(3))


def ordinary(count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Scores as a joint score gives them to spectra whose parts are as usual."""
    return np.asarray(np.log((SHARES / random.random((count, len(SHARES)))).sum(axis=1)))


def with_outliers(
    count: int, share: float, random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Scores, and the rows that are no ordinary ones."""
    score = ordinary(count, random)
    odd = random.choice(count, int(share * count), replace=False)
    score[odd] = random.uniform(6.0, 40.0, len(odd))
    return score, odd


@pytest.mark.parametrize("count", [300, 1200, 4000])
def test_ordinary_scores_have_no_excess(count: int) -> None:
    found = [len(find_excess(ordinary(count, np.random.default_rng(seed)), 0.03).rows) for seed in range(20)]
    assert sum(found) <= 0.001 * 20 * count


@pytest.mark.parametrize("share", [0.005, 0.02, 0.03])
def test_outliers_are_found_and_as_many_ordinary_scores_stay_as_there_are(share: float) -> None:
    score, odd = with_outliers(4000, share, np.random.default_rng(1))
    excess = find_excess(score, 0.05)
    assert len(np.intersect1d(excess.rows, odd)) >= 0.97 * len(odd)
    gone = len(excess.rows) - len(excess.expected)
    assert gone == pytest.approx(len(odd), abs=0.2 * len(odd) + 4)
    assert np.all(np.diff(score[excess.rows]) >= 0)
    assert np.all(np.diff(excess.expected) > 0)
    assert np.all(excess.expected >= score[excess.rows[0]])


def test_without_outliers_the_tail_stays_that_of_ordinary_scores() -> None:
    random = np.random.default_rng(2)
    beyond = []
    for _ in range(20):
        score, _ = with_outliers(2000, 0.02, random)
        excess = find_excess(score, 0.05)
        corrected = np.append(np.delete(score, excess.rows), excess.expected)
        beyond.append(np.mean(ordinary(20_000, random) > np.quantile(corrected, 0.99)))
        # With the outliers in the sample its highest hundredth is theirs.
        assert np.mean(ordinary(20_000, random) > np.quantile(score, 0.99)) < 0.003
    assert np.mean(beyond) == pytest.approx(0.01, abs=0.002)


def test_no_more_are_taken_out_than_allowed() -> None:
    score, _ = with_outliers(4000, 0.04, np.random.default_rng(3))
    assert len(find_excess(score, 0.01).rows) <= 40
    assert len(find_excess(score, 0.0).rows) == 0


@pytest.mark.parametrize("count", [0, 1, 5, 20])
def test_few_or_equal_scores_have_no_excess(count: int) -> None:
    assert len(find_excess(np.ones(count), 0.05).rows) == 0
