"""Attribution to segments: one weight per segment, with its standard error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine.attribution.attribution import Attribution, Floats, attribution_of
from engine.attribution.segments.segmentation import Segments

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.segments.game import Game
    from engine.attribution.segments.settings import SegmentSettings


@dataclass(frozen=True, eq=False, kw_only=True)
class SegmentAttribution(Attribution):
    """What a method finds in the segments of one spectrum.

    Every pixel of a segment has the weight of the whole segment, and its standard error as spread.

    Attributes
    ----------
    segments : the K segments.
    weights : (K,), in the unit of the maps.
    errors : (K,), standard errors of the weights from sampling; 0 of a method that does not sample.
    """

    segments: Segments
    weights: Floats
    errors: Floats


def segment_attribution(
    game: Game, settings: SegmentSettings, weights: Tensor, errors: Tensor | None = None
) -> SegmentAttribution:
    """The attribution that weights (K,) of a game's segments are.

    Raises
    ------
    QuarantineError : a weight or a score is not finite, so this spectrum has no explanation.
    """
    found = weights.cpu().numpy()
    doubt = np.zeros_like(found) if errors is None else errors.cpu().numpy()
    segments = game.segments
    whole = attribution_of(
        game.subject,
        (settings.width,),
        segments.on_pixels(found)[None],
        spread=segments.on_pixels(doubt)[None],
        baselines=game.replacement[None],
        shares=np.ones(1),
    )
    whole = middle_of_peak(whole, segments.of_pixel >= 0)
    return SegmentAttribution(**vars(whole), segments=segments, weights=found, errors=doubt)


def middle_of_peak(attribution: Attribution, good: NDArray[np.bool_]) -> Attribution:
    """The same with its peak in the middle of the good pixels in a row that are as high, the bluer of two."""
    where = np.flatnonzero(good)
    first = int(np.searchsorted(where, attribution.peak_pixel))
    lower = attribution.combined[where[first:]] < attribution.combined[attribution.peak_pixel]
    level = int(lower.argmax()) if lower.any() else len(lower)
    return replace(attribution, peak_pixel=int(where[first + (level - 1) // 2]))
