"""Intervals of shares: Clopper and Pearson's, and what repeated spectra of one object take from it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

from models.interval import Interval

_MISSED = 0.05
"""What an interval may miss."""


NO_INTERVAL = Interval(np.nan, np.nan, np.nan)


def share(found: float, of: float) -> Interval:
    """A share with the interval that holds at least 95 % of the time, whatever the true share.

    C. J. Clopper and E. S. Pearson, Biometrika 26 (1934) 404. Numbers that are not whole are effective ones:
    E. L. Korn and B. I. Graubard, Survey Methodology 24 (1998) 193.
    """
    if not of:
        return NO_INTERVAL
    low = float(betaincinv(found, of - found + 1, _MISSED / 2)) if found > 0 else 0.0
    high = float(betaincinv(found + 1, of - found, 1 - _MISSED / 2)) if found < of else 1.0
    return Interval(found / of, low, high)


def effective_number(spectra: NDArray[np.int64]) -> float:
    """How many independent spectra n objects have with so many spectra each, (n,).

    The spectra of one object are taken for copies: Kish's number (L. Kish, Survey Sampling, 1965), the square
    of the sum over the sum of squares. With one spectrum each it is their number.
    """
    squares = float((spectra.astype(np.float64) ** 2).sum())
    return float(spectra.sum()) ** 2 / squares if squares else 0.0
