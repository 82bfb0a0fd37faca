"""Sobol indices of segments: shares of the score's variance while all segments fade in and out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from engine.attribution.method import AttributionMethod, Units, check_whole, setting_error
from engine.attribution.segments.attribution import SegmentAttribution, segment_attribution
from engine.attribution.segments.settings import SegmentSettings, refuse_model

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject

_MOST_DIMENSIONS = 21201
"""Of torch's Sobol sequence."""


@dataclass(frozen=True, slots=True)
class SobolSettings(SegmentSettings):
    """Settings of Sobol indices.

    Attributes
    ----------
    samples : points of the sequence, a power of two; there are as many passes for every segment and two times
        more.
    """

    method: ClassVar[str] = "sobol"

    samples: int = 32

    def __post_init__(self) -> None:
        SegmentSettings.__post_init__(self)
        check_whole(self, samples=2)
        if self.samples & (self.samples - 1):
            raise setting_error(self, "samples", "a power of two")

    def check_pixels(self, pixels: int) -> None:
        """See :meth:`SegmentSettings.check_pixels`."""
        SegmentSettings.check_pixels(self, pixels)
        if 2 * self.most_segments(pixels) > _MOST_DIMENSIONS:
            raise setting_error(self, "width", f"at most {_MOST_DIMENSIONS // 2} segments of {pixels} pixels")


@dataclass(frozen=True, eq=False, kw_only=True)
class SobolAttribution(SegmentAttribution):
    """Sobol indices; ``weights`` are the total ones.

    Attributes
    ----------
    first_order : (K,), share of the variance that each segment makes alone. What a total
        index has above it, the segment does together with others.
    """

    first_order: NDArray[np.float64]


def attribute(subject: Subject, settings: SobolSettings) -> SobolAttribution:
    """Total indices: the part of the score's variance that stays if all other segments are held.

    Every segment's switch is uniform from 0 to 1, independent of the others. Estimators of Jansen 1999
    (doi 10.1016/S0010-4655(98)00154-4), points of a scrambled Sobol sequence. An index has no sign: it is as
    high where a segment makes a spectrum usual. All are 0 where the score does not vary.
    """
    import torch

    from engine.attribution.segments.game import game_of

    game = game_of(subject, settings)
    players, samples = game.players, settings.samples
    sequence = torch.quasirandom.SobolEngine(  # type: ignore[no-untyped-call]
        2 * players, scramble=True, seed=settings.seed
    )
    points = sequence.draw(samples, dtype=torch.float64).to(game.device)
    first, second = points[:, :players], points[:, players:]

    def exchanged(chosen: Tensor) -> Tensor:
        """A point of the first half with one switch of the second."""
        point, player = chosen % samples, chosen // samples
        one = player[:, None] == torch.arange(players, device=game.device)
        return torch.where(one, second[point], first[point])

    ends = game.scores_of(torch.cat([first, second])).reshape(2, samples)
    mixed = game.values(players * samples, exchanged).reshape(players, samples)
    variance = ends.var(correction=0)
    scale = torch.where(variance == 0.0, 1.0, variance)
    of_total = 0.5 * (ends[0] - mixed).square() / scale
    alone = (variance - 0.5 * (ends[1] - mixed).square().mean(dim=1)) / scale
    errors = of_total.std(dim=1) / math.sqrt(samples)
    whole = segment_attribution(game, settings, of_total.mean(dim=1), errors)
    # An index is no effect on the score.
    return SobolAttribution(**{**vars(whole), "shares": None}, first_order=alone.cpu().numpy())


SOBOL = AttributionMethod(
    settings=SobolSettings,
    needs=frozenset({"forward", "decoder"}),
    reference="Fel et al. 2021, arXiv 2111.04138",
    attribute=attribute,
    scales=lambda settings: (settings.width,),
    units=lambda _: Units("share of variance", "share of variance"),
    passes=lambda settings, pixels: settings.samples * (settings.most_segments(pixels) + 2),
    refuse=refuse_model,
)
