"""From differences per window to maps per pixel, and from maps per scale to one map: the presets.

``paper`` : every pixel is the centre of a window of each width. The map of a width at a pixel is the
mean over baselines of the whole window's effect; maps are averaged with weights sigma**-2, sigma
being the standard deviation over baselines (Shen & Melchior, arXiv 2310.20012). Neighbouring
pixels share most of a wide window, so a map does not sum to anything.

``reference-code`` : what the authors published as code (github.com/al-jshen/imo). Windows tile the
spectrum, a window's effect is shared out equally among its pixels, and weights are 1/sigma. Without
masked pixels the sum of one scale's map over a window is the window's effect.

Masked pixels. They are never pasted, so they earn no attribution: maps, spread and combined map are
exactly 0 there in both presets. In ``paper`` a window around a masked pixel could be pasted without
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
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.occlusion.settings import PresetName
from engine.occlusion.windows import Scale, centred_scales, tiled_scales

SPREAD_FLOOR = float(np.finfo(np.float32).eps)
"""Smallest sigma in units of the largest of all scales: float32 tells nothing apart below it."""


@dataclass(frozen=True, slots=True)
class Preset:
    """How windows are laid, how their effects become maps, and how maps are averaged.

    Attributes
    ----------
    scales : (windows, pixels) to one :class:`Scale` per width.
    effect_per_pixel : (differences (M, n), pixels of each window (n,)) to what each pixel is given (M, n).
    weight_power : p in the weights sigma**-p.
    """

    scales: Callable[[Sequence[int], int], tuple[Scale, ...]]
    effect_per_pixel: Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]]
    weight_power: int


def _whole(differences: NDArray[np.float64], length: NDArray[np.int64]) -> NDArray[np.float64]:  # noqa: ARG001
    return differences


def _shared(differences: NDArray[np.float64], length: NDArray[np.int64]) -> NDArray[np.float64]:
    return differences / length


PRESETS: dict[PresetName, Preset] = {
    "paper": Preset(centred_scales, _whole, 2),
    "reference-code": Preset(tiled_scales, _shared, 1),
}


def scale_map(
    preset: Preset, scale: Scale, differences: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation over baselines per pixel, each (N,), from differences (M, n)."""
    effect = preset.effect_per_pixel(differences, scale.stop - scale.start)
    return scale.on_pixels(effect.mean(axis=0)), scale.on_pixels(effect.std(axis=0))


def scale_weights(preset: Preset, spread: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each scale in the combined map at each pixel, (W, N) summing to 1 over scales.

    ``spread`` (W, N) is floored at :data:`SPREAD_FLOOR` times its largest value. A scale whose
    baselines agree exactly thus takes nearly all the weight, as in the limit of the formula, and
    multiplying log p by a constant changes no weight.
    """
    largest = spread.max(initial=0.0)
    relative = np.maximum(spread / largest, SPREAD_FLOOR) if largest > 0 else np.ones_like(spread)
    weights = relative**-preset.weight_power
    share: NDArray[np.float64] = weights / weights.sum(axis=0)
    return share
