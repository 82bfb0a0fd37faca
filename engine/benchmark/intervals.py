"""Intervals of a benchmark: of shares, means and medians over spectra, and of paired differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.benchmark.measures import Measure
from engine.evaluation.explanation_summary import Estimate, mean, share

RESAMPLES = 2000


def summary(measure: Measure, values: Sequence[float]) -> Estimate:
    """One number of many, as the measure says; values that are NaN are left out."""
    known = [each for each in values if not math.isnan(each)]
    if measure.summary == "share":
        return share([each == 1.0 for each in known])
    return mean(known) if measure.summary == "mean" else median(known)


def median(values: Sequence[float]) -> Estimate:
    """A median with a bootstrap interval; NaN of none."""
    if not values:
        return Estimate(math.nan, math.nan, math.nan, 0)
    known = np.array(values)
    random = np.random.Generator(np.random.PCG64(len(known)))
    drawn = np.median(known[random.integers(0, len(known), (RESAMPLES, len(known)))], axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Estimate(float(np.median(known)), float(low), float(high), len(known))


def mean_of_groups(groups: Mapping[str, Sequence[float]]) -> Estimate:
    """The mean of the groups' means, with its interval; groups without values do not count."""
    drawn = resampled(groups)
    low, high = np.quantile(drawn[1:], (0.025, 0.975)) if len(drawn) > 1 else (math.nan, math.nan)
    return Estimate(float(drawn[0]), float(low), float(high), sum(map(len, groups.values())))


def lower_bound(groups: Mapping[str, Sequence[float]], level: float) -> float:
    """What the mean of the groups' means is above, at a one-sided ``level``."""
    return float(np.quantile(resampled(groups)[1:], 1 - level))


def resampled(groups: Mapping[str, Sequence[float]]) -> NDArray[np.float64]:
    """The mean of the groups' means, then that of :data:`RESAMPLES` resamples; NaN of nothing.

    Each group is drawn from by itself.
    """
    known = [np.array(values, dtype=np.float64) for values in groups.values() if len(values)]
    if not known:
        return np.full(1 + RESAMPLES, np.nan)
    random = np.random.Generator(np.random.PCG64(sum(map(len, known))))
    drawn = [each[random.integers(0, len(each), (RESAMPLES, len(each)))].mean(axis=1) for each in known]
    return np.concatenate([[np.mean([each.mean() for each in known])], np.mean(drawn, axis=0)])
