"""The far tail of a sample: a generalised Pareto law of its excesses, averaged over what they leave open."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SHAPES = (-0.9, 1.3)
_SHAPE_PRIOR = (0.1, 0.3)
"""Mean and spread of the normal prior on the shape: scores are sums over latents or pixels, whose tails
fall exponentially (shape 0) or, where bad spectra mix in, like a power (shape above 0)."""
_WIDEST = 4.0
_POINTS = 41
_REACH = 5.0
_ROUNDS = 3


@dataclass(frozen=True)
class ParetoTail:
    """Laws of excesses y > 0, each with its weight: the posterior on a grid, not one best fit.

    The weighted mean of their tails is the probability that a *new* excess exceeds y. The best fit alone
    would state far too small tails where few excesses fix the shape.

    A law of negative shape ends at a finite y, where a tail probability of zero would claim what no sample
    can show. Each such law is therefore continued exponentially from where its tail is ``1 / (1 + k)``.

    Attributes
    ----------
    shape, log_scale, weight : (laws,); the weights sum to one.
    freeze : tail below which a law of negative shape goes on exponentially.
    """

    shape: NDArray[np.float64]
    log_scale: NDArray[np.float64]
    weight: NDArray[np.float64]
    freeze: float

    @classmethod
    def fit(cls, excesses: NDArray[np.float64]) -> ParetoTail:
        """Weigh laws by their likelihood for ``excesses`` (k,), all > 0, and a prior, flat in log scale."""
        count = len(excesses)
        freeze = 1.0 / (1.0 + count)
        centre = math.log(float(np.median(excesses)) / math.log(2))
        shapes = _SHAPES
        scales = (centre - _WIDEST, centre + _WIDEST)
        for _ in range(_ROUNDS):
            # The first grid is wide and coarse; the later ones lie where the weight is.
            shape, log_scale = (
                part.ravel()
                for part in np.meshgrid(
                    np.linspace(*shapes, _POINTS), np.linspace(*scales, _POINTS), indexing="ij"
                )
            )
            log_tail, log_hazard = _law(excesses[:, None], shape, log_scale, freeze)
            log_weight = (log_tail + log_hazard).sum(axis=0)
            log_weight -= 0.5 * ((shape - _SHAPE_PRIOR[0]) / _SHAPE_PRIOR[1]) ** 2
            weight = np.exp(log_weight - log_weight.max())
            weight /= weight.sum()
            shapes = _around(shape, weight, _SHAPES)
            scales = _around(log_scale, weight, (centre - 2 * _WIDEST, centre + 2 * _WIDEST))
        kept = weight > 1e-9 * weight.max()
        return cls(shape[kept], log_scale[kept], weight[kept] / weight[kept].sum(), freeze)

    def evaluate(
        self, excess: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """At each excess (m,): log of the mean tail, its slope downwards, spread of the laws' log tails.

        The slope is that of minus the log tail, per unit of excess. The spread is the root mean square
        about the log of the mean tail.
        """
        log_tail, log_hazard = _law(excess[:, None], self.shape, self.log_scale, self.freeze)
        largest = log_tail.max(axis=1, keepdims=True)
        share = np.exp(log_tail - largest) * self.weight
        mean = largest[:, 0] + np.log(share.sum(axis=1))
        slope = (share * np.exp(log_hazard)).sum(axis=1) / share.sum(axis=1)
        spread = np.sqrt(((log_tail - mean[:, None]) ** 2 * self.weight).sum(axis=1))
        return mean, slope, spread

    def span(self) -> tuple[float, float]:
        """A small and a very large excess, between which everything of interest lies."""
        return math.exp(float(self.log_scale.min()) - 5), math.exp(float(self.log_scale.max()) + 40)


def _law(
    excess: NDArray[np.float64], shape: NDArray[np.float64], log_scale: NDArray[np.float64], freeze: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log tail and log hazard of each law (last axis) at each excess."""
    shape = np.where(np.abs(shape) < 1e-9, 1e-9, shape)
    scaled = excess * np.exp(-log_scale)
    last = np.where(shape < 0, np.expm1(-shape * math.log(freeze)) / shape, np.inf)
    within = np.minimum(scaled, last)
    log_growth = np.log1p(shape * within)
    beyond = np.where(scaled > last, scaled - last, 0.0)
    return -log_growth / shape - beyond * np.exp(-log_growth), -log_growth - log_scale


def _around(
    values: NDArray[np.float64], weight: NDArray[np.float64], bounds: tuple[float, float]
) -> tuple[float, float]:
    mean = float((values * weight).sum())
    spread = math.sqrt(float(((values - mean) ** 2 * weight).sum())) + 1e-6
    return max(bounds[0], mean - _REACH * spread), min(bounds[1], mean + _REACH * spread)
