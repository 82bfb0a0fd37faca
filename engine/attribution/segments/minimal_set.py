"""Minimal set: the fewest segments that keep the score, found one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.attribution.method import AttributionMethod, check_whole, setting_error
from engine.attribution.segments.attribution import SegmentAttribution, segment_attribution
from engine.attribution.segments.settings import SegmentSettings, refuse_model

if TYPE_CHECKING:
    from engine.attribution.subject import Subject


@dataclass(frozen=True, slots=True)
class MinimalSetSettings(SegmentSettings):
    """Settings of the minimal set.

    Attributes
    ----------
    keep : share of the score's rise, from the replacement to the spectrum, that the set keeps.
    most : segments that the set has at most, which bounds the passes.
    """

    method: ClassVar[str] = "minimal-set"

    keep: float = 0.9
    most: int = 16

    def __post_init__(self) -> None:
        SegmentSettings.__post_init__(self)
        check_whole(self, most=1)
        if not 0.0 < self.keep <= 1.0:
            raise setting_error(self, "keep", "a share above 0, at most 1")


@dataclass(frozen=True, eq=False, kw_only=True)
class MinimalSetAttribution(SegmentAttribution):
    """The set: the weight of a segment is what it added when it joined, 0 of all others.

    Attributes
    ----------
    order : (k,) int64, its segments as they joined.
    curve : (k + 1,), the score with none of them, with the first, and so on.
    kept : whether they keep the share that was asked for; False too where the score does not rise.
    """

    order: NDArray[np.int64]
    curve: NDArray[np.float64]
    kept: bool


def attribute(subject: Subject, settings: MinimalSetSettings) -> MinimalSetAttribution:
    """Greedy: from the replacement on, the segment joins that raises the score most.

    For scores whose rises shrink as the set grows, a greedy set of k segments raises the score at least by
    1 - 1/e of what the best of k do (Nemhauser et al. 1978, doi 10.1007/BF01588971).
    """
    import torch

    from engine.attribution.segments.game import game_of

    game = game_of(subject, settings)
    none, all_on = game.ends.tolist()
    enough = none + settings.keep * (all_on - none)
    inside = torch.zeros(game.players, dtype=torch.bool, device=game.device)
    one_each = torch.eye(game.players, dtype=torch.bool, device=game.device)
    order: list[int] = []
    curve = [none]
    while all_on > none and curve[-1] < enough and len(order) < min(settings.most, game.players):
        outside = torch.nonzero(~inside)[:, 0]
        scores = game.scores_of(inside | one_each[outside])
        best = int(scores.argmax())
        order.append(int(outside[best]))
        curve.append(float(scores[best]))
        inside[order[-1]] = True
    weights = torch.zeros(game.players, dtype=torch.float64)
    weights[order] = torch.tensor(curve, dtype=torch.float64).diff()
    whole = segment_attribution(game, settings, weights)
    return MinimalSetAttribution(
        **vars(whole),
        order=np.array(order, dtype=np.int64),
        curve=np.array(curve),
        kept=all_on > none and curve[-1] >= enough,
    )


def _passes(settings: MinimalSetSettings, pixels: int) -> int:
    """If the set becomes as large as it may."""
    segments = settings.most_segments(pixels)
    steps = min(settings.most, segments)
    return 2 + steps * segments - steps * (steps - 1) // 2


MINIMAL_SET = AttributionMethod(
    settings=MinimalSetSettings,
    needs=frozenset({"forward", "decoder"}),
    reference="Chen et al. 2024, arXiv 2402.09164",
    attribute=attribute,
    scales=lambda settings: (settings.width,),
    passes=_passes,
    refuse=refuse_model,
)
