"""The excess of a sample's high scores over what the law of its ordinary ones leaves to expect.

A score is the log of a mean of inverse tail probabilities. Far out such a mean x exceeds t with a probability
near 1 / t, and less far out the other terms of the mean add to it: P(x > t) is close to c / (t - a), as of
Landau's law (Wilson 2019, PNAS 116, 1195). One number, a, is left to learn. It is learnt from scores that are
neither typical nor odd, so that a few per cent of outliers hardly move it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BODY = (0.80, 0.95)
"""Quantiles of the sample between which the law is fitted."""
_OFFSETS = np.linspace(-4.0, 0.9, 99)
"""Of the law, in units of what the lower of the two quantiles is."""
_RATIO = 3.0
"""Times as many as the law expects must lie beyond a score before the excess counts."""
_CHANCE = 3.0
"""As many more may lie there by chance."""


@dataclass(frozen=True)
class Excess:
    """The highest scores of n, more than their law expects.

    Attributes
    ----------
    rows : (k,), the spectra beyond the cut, from the lowest score to the highest.
    expected : (c,) with c <= k, the scores that so many ordinary spectra have beyond the cut, ascending.
    """

    rows: NDArray[np.int64]
    expected: NDArray[np.float64]


def find_excess(score: NDArray[np.float64], most: float) -> Excess:
    """What lies beyond the lowest score at which the sample has an excess.

    Parameters
    ----------
    score : (n,) finite, in nat: a step of one is a factor of e in the tail, far out.
    most : share of the sample beyond the cut, at most, 0 to ``1 - BODY[1]``.
    """
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    count = len(score)
    reach = min(int(most * count), int(count * (1 - BODY[1])))
    if reach < 1:
        return Excess(order[:0], np.empty(0))
    low, high = (float(each) for each in np.quantile(ordered, BODY))
    body = ordered[(ordered > low) & (ordered <= high)]
    if len(body) < 2:
        return Excess(order[:0], np.empty(0))
    offset = _offset(body - low, high - low)
    within = 1.0 - float(_beyond(high - low, offset))
    # As many ordinary spectra as lie in the body stand for so many above its lower end.
    above = len(body) / max(within, 1e-9)
    highest = ordered[::-1][:reach]
    expected = above * _beyond(highest - low, offset)
    seen = np.arange(1, reach + 1)
    found = np.flatnonzero(seen - _RATIO * expected > _CHANCE)
    if not len(found):
        return Excess(order[:0], np.empty(0))
    cut = int(found[-1]) + 1
    ordinary = min(round(float(expected[cut - 1])), cut)
    share = (ordinary - np.arange(ordinary) - 0.5) / ordinary if ordinary else np.empty(0)
    # From how much further out the law has this share of what it has beyond the cut.
    start = float(highest[cut - 1]) - low
    far = low + np.log((np.exp(start) - offset) / share + offset)
    return Excess(order[count - cut :], far)


def _beyond(step: NDArray[np.float64] | float, offset: float) -> NDArray[np.float64]:
    """Share of the ordinary above the body's lower end that lies ``step`` nat beyond it."""
    return np.asarray((1.0 - offset) / (np.exp(np.minimum(step, 500.0)) - offset))


def _offset(step: NDArray[np.float64], width: float) -> float:
    """The likeliest for steps (n,) that all lie within ``width``."""
    grown = np.exp(step)[:, None]
    log_density = np.log(1.0 - _OFFSETS) + step[:, None] - 2.0 * np.log(grown - _OFFSETS)
    log_within = np.log(1.0 - (1.0 - _OFFSETS) / (np.exp(width) - _OFFSETS))
    return float(_OFFSETS[int(np.argmax((log_density - log_within).sum(axis=0)))])
