"""Rates of detection, and how well a sample of this size knows them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]

RESAMPLES = 200
INTERVAL = (0.025, 0.975)
"""Quantiles of the resamples: the interval that holds 95 % of them."""


@dataclass(frozen=True)
class Estimate:
    """A rate with its interval."""

    value: float
    low: float
    high: float


def area_under_curve(odd: Floats, clean: Floats) -> float:
    """Chance that one of ``odd`` is above one of ``clean``, over all pairs; ties count half."""
    ranks = rankdata(np.concatenate([odd, clean]))
    pairs = len(odd) * len(clean)
    return float((ranks[: len(odd)].sum() - len(odd) * (len(odd) + 1) / 2) / pairs)


def recall_at(odd: Floats, clean: Floats, false_positives: float) -> float:
    """Share of ``odd`` above the lowest threshold that at most ``false_positives`` of ``clean`` pass."""
    return float(np.mean(odd > np.quantile(clean, 1 - false_positives, method="higher")))


def bootstrap(odd: Floats, clean: Floats, false_positives: float, seed: int) -> tuple[Estimate, Estimate]:
    """Area under the curve and recall, with intervals, of n spectra with (n,) and without (n,) the anomaly.

    The two belong together: place i is the same spectrum in both, and is drawn with both or not at all.
    So the interval holds what other spectra would have changed.
    """
    count = len(odd)
    draws = np.random.default_rng(seed).integers(0, count, (RESAMPLES, count))
    # Each spectrum's weight in each resample: then a resample's area is a product of matrices.
    weights = np.zeros((RESAMPLES, count), dtype=np.float32)
    np.add.at(weights, (np.arange(RESAMPLES)[:, None], draws), 1)
    above = (odd[:, None] > clean) + np.float32(0.5) * (odd[:, None] == clean)
    areas = np.einsum("bi,bi->b", weights @ above.astype(np.float32), weights, dtype=np.float64) / count**2
    thresholds = np.quantile(clean[draws], 1 - false_positives, axis=1, method="higher")
    recalls = (odd[draws] > thresholds[:, None]).mean(axis=1)
    return (
        _estimate(area_under_curve(odd, clean), areas),
        _estimate(recall_at(odd, clean, false_positives), recalls),
    )


def share(found: NDArray[np.bool_]) -> Estimate:
    """Share of spectra that were found, with Wilson's interval; NaN of none."""
    count = len(found)
    if not count:
        return Estimate(np.nan, np.nan, np.nan)
    rate, deviations = float(found.mean()), 1.959964
    scale = 1 + deviations**2 / count
    middle = (rate + deviations**2 / (2 * count)) / scale
    half = deviations / scale * np.sqrt(rate * (1 - rate) / count + deviations**2 / (4 * count**2))
    # Rounding must not put an end on the wrong side of the rate.
    return Estimate(
        rate, min(rate, max(0.0, float(middle - half))), max(rate, min(1.0, float(middle + half)))
    )


def _estimate(value: float, resampled: Floats) -> Estimate:
    low, high = np.quantile(resampled, INTERVAL)
    return Estimate(value, min(float(low), value), max(float(high), value))
