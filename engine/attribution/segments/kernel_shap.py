"""KernelSHAP: Shapley values of segments by a weighted regression."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from engine.attribution.method import AttributionMethod
from engine.attribution.segments.attribution import SegmentAttribution, segment_attribution
from engine.attribution.segments.exact_shapley import all_coalitions
from engine.attribution.segments.random_stream import random_stream
from engine.attribution.segments.settings import (
    Sampling,
    SegmentSettings,
    check_sampling,
    design_numbers,
    refuse_model,
    refuse_samples,
)

if TYPE_CHECKING:
    from engine.attribution.segments.design import Design
    from engine.attribution.subject import Subject


@dataclass(frozen=True, slots=True)
class KernelShapSettings(SegmentSettings):
    """Settings of KernelSHAP.

    Attributes
    ----------
    samples : coalitions that are scored beside none and all; all there are if they are no more than that.
    sampling : ``independent``, as published; ``paired``, each followed by its complement (Covert & Lee 2021,
        arXiv 2012.01536), which takes most of the error away.
    """

    method: ClassVar[str] = "kernel-shap"

    samples: int = 2000
    sampling: Sampling = "paired"

    def __post_init__(self) -> None:
        SegmentSettings.__post_init__(self)
        check_sampling(self, self.sampling)

    def check_pixels(self, pixels: int) -> None:
        """See :meth:`SegmentSettings.check_pixels`."""
        SegmentSettings.check_pixels(self, pixels)
        segments = self.most_segments(pixels)
        refuse_samples(self, "samples", segments, 2 * (segments + 1))


def attribute(subject: Subject, settings: KernelShapSettings) -> SegmentAttribution:
    """Weights that add up to the score less that of the replacement, by a weighted regression."""
    from engine.attribution.segments.design import check_memory, fit
    from engine.attribution.segments.game import game_of

    game = game_of(subject, settings)
    check_memory(subject.memory_bytes, game.players, settings.samples)
    design = kernel_design(game.players, settings.samples, settings.sampling, settings.seed)
    ends = game.ends.cpu()
    found = fit(design, game.scores_of(design.switches).cpu()[None], ends[:1], ends[1:])
    return segment_attribution(game, settings, found.weights[0], found.errors[0])


@lru_cache(maxsize=4)
def kernel_design(segments: int, samples: int, sampling: Sampling, seed: int) -> Design:
    """The coalitions of KernelSHAP and their fit: all of them, or drawn with the kernel as probability.

    The kernel (K - 1) / (binomial(K, m) m (K - m)) of m segments goes with 1 / (m (K - m)) in all coalitions
    of one size (Lundberg & Lee 2017, arXiv 1705.07874).
    """
    import numpy as np
    import torch

    from engine.attribution.segments.design import pairs, shapley_design

    if segments <= 62 and 2**segments - 2 <= samples:
        switches = all_coalitions(segments)[1:-1]
        size = switches.sum(dim=1)
        ways = torch.tensor([float(math.comb(segments, m)) for m in range(segments + 1)]).double()
        importance = 1.0 / (ways[size.long()] * size * (segments - size))
        return shapley_design(switches, importance, 1, drawn=False)
    random = random_stream(seed)
    of_size = 1.0 / (np.arange(1, segments) * (segments - np.arange(1, segments)))
    count = samples // 2 if sampling == "paired" else samples
    drawn = 1 + np.searchsorted(np.cumsum(of_size / of_size.sum())[:-1], random.random_sample(count))
    rank = random.random_sample((count, segments)).argsort(axis=1).argsort(axis=1)
    switches = torch.from_numpy(rank < drawn[:, None]).double()
    if sampling == "paired":
        switches = pairs(switches)
    group = 2 if sampling == "paired" else 1
    return shapley_design(switches, switches.new_ones(len(switches)), group, drawn=True)


KERNEL_SHAP = AttributionMethod(
    settings=KernelShapSettings,
    needs=frozenset({"forward", "decoder"}),
    reference="Lundberg & Lee 2017, arXiv 1705.07874; Covert & Lee 2021, arXiv 2012.01536",
    attribute=attribute,
    scales=lambda settings: (settings.width,),
    passes=lambda settings, _: settings.samples + 2,
    held=lambda settings, pixels: design_numbers(settings.most_segments(pixels), settings.samples),
    refuse=refuse_model,
)
