"""Combination: from differences per window to maps per pixel, and from maps per scale to one map.

The map of a scale at a pixel is the mean over baselines of the effect of the window that speaks for it.
With the spacing ``tiled`` it is the pixel's share of that, so that without masked pixels the sum of one
scale's map over a window is the window's effect. Windows of other spacings overlap, and their maps sum to
nothing. Maps of scales are brought together by

``mean``, the default : their mean. It is never above the largest effect of a window at that pixel, and
    means the same in every spectrum.
``significance`` : the mean of mean/sigma, in standard deviations over baselines (:func:`significance`).
``inverse-variance`` : weights sigma**-2 (Shen & Melchior, arXiv 2310.20012).
``inverse-deviation`` : weights 1/sigma (their published code, github.com/al-jshen/imo).

docs/numbers.md compares.

Masked pixels. They are never pasted, so they earn no attribution: maps, spread and combined map are
exactly 0 there. A window of another spacing around a masked pixel could be pasted without
it, but its effect would be its neighbours', who have nearly the same window of their own. Of a tile
the effect is divided by the window's length within the spectrum, as published,
masked pixels counted: a wide window of which one pixel is good says little about that pixel. Dividing
by the number of pixels pasted instead would give the few good pixels at the edge of an instrument's
coverage what whole windows get elsewhere, and peaks would gather there.

Standard deviations divide by M (ddof = 0), as the published code does; another ddof would multiply
all sigmas alike and cancel in the weights. With one baseline all sigmas are 0 and all weights equal.
With two or three, sigma is by chance tiny at some pixels, where one scale then rules with all its
float32 rounding; from about eight on the combined map is as well determined as the maps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from engine.attribution.occlusion.settings import CombinationName, Spacing
from engine.attribution.occlusion.windows import Scale

SPREAD_FLOOR = float(np.finfo(np.float32).eps)
"""Smallest sigma in units of the largest of all scales: below it float32 does not resolve differences."""

Floats = NDArray[np.float64]
Combination = Callable[[Floats, Floats, NDArray[np.bool_]], Floats]
"""Maps (W, N), spread (W, N) and good pixels (N,) to what each scale adds to the combined map (W, N)."""


def scale_map(spacing: Spacing, scale: Scale, differences: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation over baselines per pixel, each (N,), from differences (M, n)."""
    effect = differences * shares(spacing, scale.stop - scale.start)
    return scale.on_pixels(effect.mean(axis=0)), scale.on_pixels(effect.std(axis=0))


def shares(spacing: Spacing, length: NDArray[np.int64]) -> Floats:
    """What a pixel is given of the effects of windows of so many pixels, (n,): all; of tiles its share."""
    return 1.0 / length if spacing == "tiled" else np.ones(len(length))


def weighted_mean(
    power: int,
    maps: Floats,
    spread: Floats,
    good: NDArray[np.bool_],  # noqa: ARG001
) -> Floats:
    """Mean of the scales with weights sigma**-power."""
    return scale_weights(power, spread) * maps


def significance(maps: Floats, spread: Floats, good: NDArray[np.bool_]) -> Floats:
    """Mean over scales of mean/sigma; 0 where nothing spreads at all.

    Where the baselines agree by chance on next to nothing, mean/sigma alone would be large: to sigma is
    added, in quadrature, its median over the good pixels of the same scale.
    """
    usual = np.median(spread[:, good], axis=1) if good.any() else np.zeros(len(spread))
    deviation = np.hypot(spread, usual[:, None])
    found: Floats = np.divide(maps, deviation, out=np.zeros_like(maps), where=deviation > 0)
    return found / len(maps)


COMBINATIONS: Mapping[CombinationName, Combination] = MappingProxyType(
    {
        "mean": partial(weighted_mean, 0),
        "significance": significance,
        "inverse-variance": partial(weighted_mean, 2),
        "inverse-deviation": partial(weighted_mean, 1),
    }
)


def scale_weights(power: int, spread: Floats) -> Floats:
    """Share of each scale in the combined map at each pixel, (W, N) summing to 1 over scales.

    ``spread`` (W, N) is floored at :data:`SPREAD_FLOOR` times its largest value. A scale whose
    baselines agree exactly thus takes nearly all the weight, as in the limit of the formula, and
    multiplying the score by a constant changes no weight.
    """
    largest = spread.max(initial=0.0)
    relative = np.maximum(spread / largest, SPREAD_FLOOR) if largest > 0 else np.ones_like(spread)
    weights = relative**-power
    share: Floats = weights / weights.sum(axis=0)
    return share
