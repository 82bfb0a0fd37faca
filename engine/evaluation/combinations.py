"""Combinations of the maps of all windows, to be compared: one occlusion serves them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from engine.attribution.occlusion.attribution import WindowEffects
from engine.attribution.occlusion.combine import (
    PRESETS,
    Preset,
    mean_and_deviation,
    median_and_deviation,
    most_significant,
    scale_map,
    shared,
    shared_by_root,
    significance,
    standing_out,
    strongest,
    weighted_mean,
)

Floats = NDArray[np.float64]
_PAPER = PRESETS["paper"]

COMBINATIONS: dict[str, Preset] = {
    # As published, and with the weights of the published code.
    "1/sigma^2": _PAPER,
    "1/sigma": replace(_PAPER, contributions=partial(weighted_mean, 1)),
    "mean": replace(_PAPER, contributions=partial(weighted_mean, 0)),
    # The strongest effect of any scale, whole or divided by the window's pixels or their root.
    "largest": replace(_PAPER, contributions=strongest),
    "largest per pixel": replace(_PAPER, effect_per_pixel=shared, contributions=strongest),
    "largest per root": replace(_PAPER, effect_per_pixel=shared_by_root, contributions=strongest),
    "per pixel, 1/sigma": replace(_PAPER, effect_per_pixel=shared, contributions=partial(weighted_mean, 1)),
    # Significance over baselines.
    "mean/sigma": replace(_PAPER, contributions=significance),
    "largest mean/sigma": replace(_PAPER, contributions=most_significant),
    # Medians over baselines.
    "medians, 1/sigma^2": replace(_PAPER, summary=median_and_deviation),
    "medians, largest": replace(_PAPER, summary=median_and_deviation, contributions=strongest),
    # Against the rest of the same spectrum.
    "largest over own map": replace(_PAPER, contributions=standing_out),
}
"""Those that need nothing but the effects of one spectrum's windows."""

AGAINST_NORMAL = "largest over normal"


@dataclass(frozen=True)
class NormalResponse:
    """What windows do in normal spectra of the same model.

    Attributes
    ----------
    size : (W, N), root mean square of the maps of normal spectra at each pixel, smoothed.
    """

    size: Floats

    @classmethod
    def of(cls, effects: Sequence[WindowEffects]) -> NormalResponse:
        """From the occlusions of one or more normal spectra, laid as ``paper`` lays windows."""
        shape = len(effects[0].windows), len(effects[0].good)
        total, count = np.zeros(shape), np.zeros(shape[1])
        for each in effects:
            pairs = zip(each.scales, each.differences, strict=True)
            total += np.stack([scale_map(_PAPER, scale, part)[0] for scale, part in pairs]) ** 2
            count += each.good
        return cls(np.stack([_smooth_root(row, count) for row in total]))

    def combination(self) -> Preset:
        """At each pixel the scale that does most beyond what it does in normal spectra."""

        def contributions(maps: Floats, spread: Floats, good: NDArray[np.bool_]) -> Floats:
            relative = np.divide(maps, self.size, out=np.zeros_like(maps), where=self.size > 0)
            return strongest(relative, spread, good)

        return Preset(_PAPER.scales, _PAPER.effect_per_pixel, mean_and_deviation, contributions)


_SMOOTHING = 129


def _smooth_root(total: Floats, count: Floats) -> Floats:
    """Root of the mean of squares over neighbouring pixels: a few dozen spectra do not show a pixel's own."""
    kernel = np.ones(min(_SMOOTHING, len(total)))
    squares, weight = np.convolve(total, kernel, "same"), np.convolve(count, kernel, "same")
    return np.sqrt(np.divide(squares, weight, out=np.zeros_like(squares), where=weight > 0))
