"""Permutation Shapley: the mean rise of the score when a segment is switched on, over orders."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from engine.attribution.method import AttributionMethod, check_whole
from engine.attribution.segments.attribution import SegmentAttribution, segment_attribution
from engine.attribution.segments.random_stream import random_stream
from engine.attribution.segments.settings import (
    SegmentSettings,
    check_pairs,
    refuse_model,
)

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject


@dataclass(frozen=True, slots=True)
class PermutationSettings(SegmentSettings):
    """Settings of Shapley values by permutations.

    Attributes
    ----------
    permutations : orders in which segments are switched on, an even number: every second one is the one
        before, backwards (Mitchell et al. 2022, arXiv 2104.12199).
    """

    method: ClassVar[str] = "permutation-shapley"

    permutations: int = 16

    def __post_init__(self) -> None:
        SegmentSettings.__post_init__(self)
        check_whole(self, permutations=4)
        check_pairs(self, "permutations")


def attribute(subject: Subject, settings: PermutationSettings) -> SegmentAttribution:
    """Mean rise of the score when a segment is switched on, over the orders of all segments."""
    import numpy as np
    import torch

    from engine.attribution.segments.game import game_of

    game = game_of(subject, settings)
    players, half = game.players, settings.permutations // 2
    forward = random_stream(settings.seed).random_sample((half, players)).argsort(axis=1)
    orders = torch.from_numpy(np.stack([forward, forward[:, ::-1]], axis=1).reshape(2 * half, players).copy())
    orders = orders.to(game.device)
    place = orders.argsort(dim=1)
    steps = players - 1

    def begun(chosen: Tensor) -> Tensor:
        """The first segments of an order."""
        return place[chosen // steps] <= (chosen % steps)[:, None]

    between = game.values(2 * half * steps, begun).reshape(2 * half, steps)
    ends = game.ends.expand(2 * half, 2)
    path = torch.cat([ends[:, :1], between, ends[:, 1:]], dim=1)
    rises = torch.empty_like(path[:, 1:]).scatter_(1, orders, path.diff(dim=1))
    of_pairs = rises.reshape(half, 2, players).mean(dim=1)
    return segment_attribution(game, settings, of_pairs.mean(dim=0), of_pairs.std(dim=0) / math.sqrt(half))


PERMUTATION_SHAPLEY = AttributionMethod(
    settings=PermutationSettings,
    needs=frozenset({"forward", "decoder"}),
    reference="Castro et al. 2009, doi 10.1016/j.cor.2008.04.004; Mitchell et al. 2022, arXiv 2104.12199",
    attribute=attribute,
    scales=lambda settings: (settings.width,),
    passes=lambda settings, pixels: settings.permutations * (settings.most_segments(pixels) - 1) + 2,
    refuse=refuse_model,
)
