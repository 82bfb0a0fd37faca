"""Presets: from differences per window to maps per pixel, and from maps per scale to one map.

``paper`` : every pixel is the centre of a window of each width. The map of a width at a pixel is the
mean over baselines of the whole window's effect; maps are averaged with weights sigma**-2, sigma
being the standard deviation over baselines (Shen & Melchior, arXiv 2310.20012). Neighbouring
pixels share most of a wide window, so a map does not sum to anything.

``reference-code`` : what the authors published as code (github.com/al-jshen/imo). Windows tile the
spectrum, a window's effect is shared out equally among its pixels, and weights are 1/sigma. Without
masked pixels the sum of one scale's map over a window is the window's effect.

``nearest``, the default : centred windows, the wide ones an eighth of their width apart and at most 16
pixels, pasted into the baselines that are most like the spectrum
(:mod:`engine.attribution.baselines`); every scale counts by mean/sigma, its significance
(:func:`by_significance`). docs/evaluation.md compares.

Masked pixels. They are never pasted, so they earn no attribution: maps, spread and combined map are
exactly 0 there in all presets. In ``paper`` a window around a masked pixel could be pasted without
it, but its effect would be its neighbours', who have nearly the same window of their own. In
``reference-code`` the effect is divided by the window's length within the spectrum, as published,
masked pixels counted: a wide window of which one pixel is good says little about that pixel. Dividing
by the number of pixels pasted instead would give the few good pixels at the edge of an instrument's
coverage what whole windows get elsewhere, and peaks would gather there.

Standard deviations divide by M (ddof = 0), as the published code does; another ddof would multiply
all sigmas alike and cancel in the weights. With one baseline all sigmas are 0 and all weights equal.
With two or three, sigma is by chance tiny at some pixels, where one scale then rules with all its
float32 rounding; from about eight on the combined map is as well determined as the maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.attribution.occlusion.settings import PresetName
from engine.attribution.occlusion.windows import Scale, centred_scales, spaced_scales, tiled_scales

SPREAD_FLOOR = float(np.finfo(np.float32).eps)
"""Smallest sigma in units of the largest of all scales: below it float32 does not resolve differences."""


Floats = NDArray[np.float64]
BaselineSource = Literal["drawn", "nearest"]


@dataclass(frozen=True, slots=True)
class Preset:
    """How windows are laid, how their effects become maps, and how maps become one.

    Attributes
    ----------
    scales : (windows, pixels) to one :class:`Scale` per width.
    effect_per_pixel : (differences (M, n), pixels of each window (n,)) to what each pixel is given (M, n).
    summary : effects (M, n) to their typical value (n,) and their spread (n,) over baselines.
    contributions : (maps (W, N), spread (W, N), good (N,)) to what each
        scale adds to the combined map (W, N).
    baselines : ``drawn`` at random from the calibration set, or those ``nearest`` to the spectrum.
    """

    scales: Callable[[Sequence[int], int], tuple[Scale, ...]]
    effect_per_pixel: Callable[[Floats, NDArray[np.int64]], Floats]
    summary: Callable[[Floats], tuple[Floats, Floats]]
    contributions: Callable[[Floats, Floats, NDArray[np.bool_]], Floats]
    baselines: BaselineSource = "drawn"


def whole(differences: Floats, length: NDArray[np.int64]) -> Floats:  # noqa: ARG001
    """Every pixel is given the effect of its whole window."""
    return differences


def shared(differences: Floats, length: NDArray[np.int64]) -> Floats:
    """A window's effect is shared out among its pixels."""
    return differences / length


def shared_by_root(differences: Floats, length: NDArray[np.int64]) -> Floats:
    """Divided by the root of the window's pixels: what noise alone would add grows like it."""
    return differences / np.sqrt(length)


def mean_and_deviation(effects: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation (ddof = 0) over baselines."""
    return effects.mean(axis=0), effects.std(axis=0)


def median_and_deviation(effects: Floats) -> tuple[Floats, Floats]:
    """Median over baselines, and the median distance from it in units of a Gaussian's sigma."""
    middle = np.median(effects, axis=0)
    return middle, 1.4826 * np.median(np.abs(effects - middle), axis=0)


def weighted_mean(
    power: int,
    maps: Floats,
    spread: Floats,
    good: NDArray[np.bool_],  # noqa: ARG001
) -> Floats:
    """Mean of the scales with weights sigma**-power."""
    return scale_weights(power, spread) * maps


def strongest(maps: Floats, spread: Floats, good: NDArray[np.bool_]) -> Floats:  # noqa: ARG001
    """At each pixel the scale of the largest value alone; the narrowest of equals."""
    alone = np.zeros_like(maps)
    place = maps.argmax(axis=0)[None]
    np.put_along_axis(alone, place, np.take_along_axis(maps, place, axis=0), axis=0)
    return alone


def most_significant(maps: Floats, spread: Floats, good: NDArray[np.bool_]) -> Floats:
    """At each pixel the largest mean/sigma of all scales.

    Where the baselines agree by chance on next to nothing, mean/sigma alone would be large: to sigma is
    added, in quadrature, its median over the good pixels of the same scale.
    """
    return strongest(significance(maps, spread, good), spread, good)


def significance(maps: Floats, spread: Floats, good: NDArray[np.bool_]) -> Floats:
    """mean/sigma of every scale (W, N), see :func:`most_significant`; 0 where nothing spreads at all."""
    usual = np.median(spread[:, good], axis=1) if good.any() else np.zeros(len(spread))
    deviation = np.hypot(spread, usual[:, None])
    found: Floats = np.divide(maps, deviation, out=np.zeros_like(maps), where=deviation > 0)
    return found


def by_significance(maps: Floats, spread: Floats, good: NDArray[np.bool_]) -> Floats:
    """Every scale's :func:`significance`, in the unit of the maps.

    All are multiplied by one number per spectrum, such that the sizes of the combined map sum to those of the
    plain mean of the maps: the same attribution, where it is significant.
    """
    relative = significance(maps, spread, good)
    mean, total = maps / len(maps), float(np.abs(relative.sum(axis=0)).sum())
    # Baselines that all agree, a single one for example, say nothing of significance.
    if not total > 0.0:
        return mean
    return relative * (float(np.abs(mean.sum(axis=0)).sum()) / total)


def standing_out(maps: Floats, spread: Floats, good: NDArray[np.bool_]) -> Floats:
    """At each pixel the scale that stands out most from the rest of its own map.

    Every scale is divided by the median size of its map over good pixels, in units of a Gaussian's sigma:
    what a window of this width does anywhere in this spectrum.
    """
    usual = 1.4826 * np.median(np.abs(maps[:, good]), axis=1) if good.any() else np.zeros(len(maps))
    relative = np.divide(maps, usual[:, None], out=np.zeros_like(maps), where=usual[:, None] > 0)
    return strongest(relative, spread, good)


_PAPER = Preset(centred_scales, whole, mean_and_deviation, partial(weighted_mean, 2))

PRESETS: dict[PresetName, Preset] = {
    "nearest": replace(_PAPER, scales=spaced_scales, contributions=by_significance, baselines="nearest"),
    "paper": _PAPER,
    "reference-code": replace(
        _PAPER, scales=tiled_scales, effect_per_pixel=shared, contributions=partial(weighted_mean, 1)
    ),
}


def scale_map(preset: Preset, scale: Scale, differences: Floats) -> tuple[Floats, Floats]:
    """Typical effect and spread over baselines per pixel, each (N,), from differences (M, n)."""
    effect = preset.effect_per_pixel(differences, scale.stop - scale.start)
    typical, spread = preset.summary(effect)
    return scale.on_pixels(typical), scale.on_pixels(spread)


def scale_weights(power: int, spread: Floats) -> Floats:
    """Share of each scale in the combined map at each pixel, (W, N) summing to 1 over scales.

    ``spread`` (W, N) is floored at :data:`SPREAD_FLOOR` times its largest value. A scale whose
    baselines agree exactly thus takes nearly all the weight, as in the limit of the formula, and
    multiplying log p by a constant changes no weight.
    """
    largest = spread.max(initial=0.0)
    relative = np.maximum(spread / largest, SPREAD_FLOOR) if largest > 0 else np.ones_like(spread)
    weights = relative**-power
    share: Floats = weights / weights.sum(axis=0)
    return share
