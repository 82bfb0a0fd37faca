"""LIME for spectra: a linear surrogate of the score over random halves of the segments."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from engine.attribution.method import AttributionMethod, setting_error
from engine.attribution.segments.attribution import SegmentAttribution, segment_attribution
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
class LimeSettings(SegmentSettings):
    """Settings of LIME; :data:`PUBLISHED` are those of the paper.

    Attributes
    ----------
    samples : coalitions that are scored.
    sampling : every segment is on with probability 1/2: ``independent`` draws; ``paired``, each followed by
        its complement, so that what two segments do together moves no weight.
    kernel_width : of exp(-d^2 / (2 width^2)), the weight of a coalition in the fit, with d its cosine
        distance from the whole spectrum; None for equal weights. (Of random halves all d are nearly equal, so
        the published kernel weighs little.)
    ridge : penalty of the fit.
    """

    method: ClassVar[str] = "lime"

    samples: int = 2000
    sampling: Sampling = "paired"
    kernel_width: float | None = None
    ridge: float = 0.0

    def __post_init__(self) -> None:
        SegmentSettings.__post_init__(self)
        check_sampling(self, self.sampling)
        if self.kernel_width is not None and not self.kernel_width > 0:
            raise setting_error(self, "kernel_width", "a number above 0, or none")
        if not self.ridge >= 0:
            raise setting_error(self, "ridge", "a number from 0")

    def check_pixels(self, pixels: int) -> None:
        """See :meth:`SegmentSettings.check_pixels`."""
        SegmentSettings.check_pixels(self, pixels)
        segments = self.most_segments(pixels)
        refuse_samples(self, "samples", segments, 2 * (segments + 1))


PUBLISHED = LimeSettings(
    width=25,
    replacement="scaled",
    samples=5000,
    sampling="independent",
    kernel_width=0.25,
    ridge=1.0,
)
"""As Ortiz Manrique & Boquien, arXiv 2510.05235, explain 3,773 pixels in 151 segments."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LimeAttribution(SegmentAttribution):
    """What LIME finds.

    Attributes
    ----------
    intercept : of the surrogate; r_squared : the share of the scores' variance that it explains, NaN if they
        have none.
    """

    intercept: float
    r_squared: float


def attribute(subject: Subject, settings: LimeSettings) -> LimeAttribution:
    """See :class:`engine.attribution.method.AttributionMethod`."""
    from engine.attribution.segments.design import check_memory, fit
    from engine.attribution.segments.game import game_of

    game = game_of(subject, settings)
    check_memory(subject.memory_bytes, game.players, settings.samples)
    design = lime_design(
        game.players,
        settings.samples,
        settings.sampling,
        settings.kernel_width,
        settings.ridge,
        settings.seed,
    )
    scores = game.scores_of(design.switches).cpu()[None]
    found = fit(design, scores, scores[:, 0], scores[:, 0])
    whole = segment_attribution(game, settings, found.weights[0], found.errors[0])
    return LimeAttribution(
        **vars(whole), intercept=float(found.intercept[0]), r_squared=float(found.r_squared[0])
    )


@lru_cache(maxsize=4)
def lime_design(
    segments: int, samples: int, sampling: Sampling, kernel_width: float | None, ridge: float, seed: int
) -> Design:
    """The coalitions of LIME and their fit.

    ``independent`` ones are those of the published code, from the same seed: the first is the whole spectrum.
    """
    import torch

    from engine.attribution.segments.design import pairs, ridge_design

    random = random_stream(seed)
    if sampling == "paired":
        switches = pairs(torch.from_numpy(random.randint(0, 2, (samples // 2, segments))).double())
    else:
        switches = torch.from_numpy(
            random.randint(0, 2, samples * segments).reshape(samples, segments)
        ).double()
        switches[0] = 1.0
    importance = switches.new_ones(len(switches))
    if kernel_width is not None:
        # The cosine of a coalition of m segments and the whole is the root of m / K.
        distance = 1.0 - switches.mean(dim=1).sqrt()
        importance = torch.exp(-0.5 * (distance / kernel_width).square())
    return ridge_design(switches, importance, ridge, 2 if sampling == "paired" else 1)


LIME = AttributionMethod(
    settings=LimeSettings,
    needs=frozenset({"forward", "decoder"}),
    reference="Ribeiro et al. 2016, arXiv 1602.04938; Ortiz Manrique & Boquien 2025, arXiv 2510.05235",
    attribute=attribute,
    scales=lambda settings: (settings.width,),
    passes=lambda settings, _: settings.samples,
    held=lambda settings, pixels: design_numbers(settings.most_segments(pixels), settings.samples),
    refuse=refuse_model,
)
