"""Exact Shapley values, of few segments: by all coalitions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from engine.attribution.method import AttributionMethod
from engine.attribution.segments.attribution import SegmentAttribution, segment_attribution
from engine.attribution.segments.settings import SegmentSettings, refuse_model
from models.errors import ConfigurationError, ErrorKind

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject

MOST_EXACT = 12
"""Segments whose 2^K coalitions are all scored."""


@dataclass(frozen=True, slots=True)
class ExactShapleySettings(SegmentSettings):
    """Settings of exact Shapley values, of at most :data:`MOST_EXACT` segments."""

    method: ClassVar[str] = "exact-shapley"

    width: int = 1024

    def check_pixels(self, pixels: int) -> None:
        """See :meth:`SegmentSettings.check_pixels`."""
        SegmentSettings.check_pixels(self, pixels)
        segments = self.most_segments(pixels)
        if segments > MOST_EXACT:
            raise ConfigurationError(
                "There are too many segments for all of their coalitions.",
                where=f"{self.method} settings, width",
                got=f"{self.width}, which gives up to {segments} segments",
                allowed=f"at most {MOST_EXACT} segments",
                remedy="Take wider segments, or kernel-shap or permutation-shapley, which sample coalitions.",
                kind=ErrorKind.SEGMENTS,
            )


def attribute(subject: Subject, settings: ExactShapleySettings) -> SegmentAttribution:
    """Shapley 1953: the mean rise of the score over all orders, by all coalitions."""
    from engine.attribution.segments.game import game_of

    game = game_of(subject, settings)
    return segment_attribution(game, settings, exact_shapley(game.scores_of(all_coalitions(game.players))))


def all_coalitions(segments: int) -> Tensor:
    """(2^K, K), 0 and 1: segment j is bit j of the coalition's number."""
    import torch

    number = torch.arange(2**segments)
    return ((number[:, None] >> torch.arange(segments)) & 1).double()


def exact_shapley(scores: Tensor) -> Tensor:
    """Shapley values (K,) of the scores (2^K,) of :func:`all_coalitions`."""
    import torch

    segments = len(scores).bit_length() - 1
    switches = all_coalitions(segments).to(scores.device)
    size = switches.sum(dim=1).long()
    # With m segments on before, a segment comes next in m! (K - m - 1)! of K! orders.
    orders = torch.tensor(
        [1.0 / (segments * math.comb(segments - 1, m)) for m in range(segments)] + [0.0],
        dtype=scores.dtype,
        device=scores.device,
    )
    with_it, without_it = orders[size - 1] * scores, orders[size] * scores
    return switches.T @ with_it - (1.0 - switches).T @ without_it


EXACT_SHAPLEY = AttributionMethod(
    settings=ExactShapleySettings,
    needs=frozenset({"forward", "decoder"}),
    reference="Shapley 1953, doi 10.1515/9781400881970-018",
    attribute=attribute,
    scales=lambda settings: (settings.width,),
    passes=lambda settings, pixels: 2 ** settings.most_segments(pixels),
    refuse=refuse_model,
)
