"""Tail probabilities: what a score means, independent of the model that gave it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)


def tail_probability(score: NDArray[np.floating], calibration: NDArray[np.floating]) -> NDArray[np.float32]:
    """Share of the calibration set with a score at least as high, counting the spectrum itself.

    ``(1 + #{c >= score}) / (1 + n)``: the conformal p-value (Vovk et al. 2005), never zero, and
    uniform for spectra drawn as the calibration set was.

    Parameters
    ----------
    score : (m,) scores; NaN gives NaN.
    calibration : (n,) scores of the calibration set, ascending.
    """
    above = len(calibration) - np.searchsorted(calibration, score, side="left")
    tail = (1.0 + above) / (1.0 + len(calibration))
    return np.where(np.isfinite(score), tail, np.nan).astype(np.float32)


def quantiles(calibration: NDArray[np.floating]) -> tuple[tuple[float, float], ...]:
    """(probability, score) pairs for a model card."""
    return tuple((p, float(np.quantile(calibration, p))) for p in QUANTILES)
