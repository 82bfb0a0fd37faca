"""Ranked regions: segments of several widths, in the order of their integrated gradients."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, get_args

import numpy as np
from numpy.typing import NDArray

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.integrated_gradients import INTEGRATED_GRADIENTS, IntegratedGradientsSettings
from engine.attribution.method import (
    AttributionMethod,
    MethodSettings,
    Units,
    check_choice,
    check_whole,
    refuse_baselines,
)
from engine.attribution.occlusion.settings import check_windows
from engine.attribution.segments.attribution import middle_of_peak
from engine.attribution.segments.segmentation import Segmentation, Segments, segments_of
from engine.attribution.segments.settings import check_width
from models.model_card import ModelCard

if TYPE_CHECKING:
    from engine.attribution.subject import Subject

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RankedRegionsSettings(MethodSettings):
    """Settings of ranked regions.

    Attributes
    ----------
    segmentation : of each width, see :func:`engine.attribution.segments.segmentation.segments_of`.
    widths : of the segments in pixels, strictly increasing.
    baselines, seed, steps : of the integrated gradients, see
        :class:`engine.attribution.integrated_gradients.IntegratedGradientsSettings`.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "ranked-regions"

    segmentation: Segmentation = "clustered"
    widths: tuple[int, ...] = (16, 64, 256)
    baselines: int = 8
    seed: int = 0
    steps: int = 16

    def __post_init__(self) -> None:
        check_choice(self, "segmentation", get_args(Segmentation))
        check_windows(self.widths, self.method, "widths")
        check_whole(self, baselines=1, seed=0, steps=1)

    @property
    def gradients(self) -> IntegratedGradientsSettings:
        """Those of the integrated gradients."""
        return IntegratedGradientsSettings(baselines=self.baselines, seed=self.seed, steps=self.steps)


@dataclass(frozen=True, eq=False)
class Region:
    """A segment in the ranking.

    Attributes
    ----------
    scale : number of its width; segment : its number among those of that width.
    density : mean attribution of its pixels that no region before it has, nat / pixel.
    """

    scale: int
    segment: int
    density: float


@dataclass(frozen=True, eq=False, kw_only=True)
class RankedRegionsAttribution(Attribution):
    """The ranking: a pixel's combined value is the density of the region that it came with.

    Attributes
    ----------
    segments : one per width.
    regions : by rank; those before any one of them are the region of the spectrum that it stands for.
    """

    segments: tuple[Segments, ...]
    regions: tuple[Region, ...]


def attribute(subject: Subject, settings: RankedRegionsSettings) -> RankedRegionsAttribution:
    """XRAI: of all segments the one with the highest mean attribution joins, of pixels that no other has
    brought.

    Maps of single widths are means over its segments. The published form integrates from black and white;
    here paths start from calibration spectra.
    """
    check_width(settings, "widths", settings.widths[-1], len(subject.flux))
    gradients = INTEGRATED_GRADIENTS.attribute(subject, settings.gradients)
    flux, good = subject.flux.cpu().numpy(), subject.good.cpu().numpy()
    segments = tuple(segments_of(flux, good, settings.segmentation, width) for width in settings.widths)
    values = np.asarray(gradients.combined, dtype=np.float64)
    maps = np.stack([each.on_pixels(_means(each, values, good)) for each in segments])
    regions, brought = ranked(segments, values, good)
    whole = attribution_of(subject, settings.widths, maps, contributions=brought)
    whole = replace(
        middle_of_peak(whole, good),
        baseline=gradients.baseline,
        baseline_scores=gradients.baseline_scores,
    )
    return RankedRegionsAttribution(**vars(whole), segments=segments, regions=regions)


def ranked(
    segments: tuple[Segments, ...], values: Floats, good: NDArray[np.bool_]
) -> tuple[tuple[Region, ...], Floats]:
    """The ranking of all segments until every good pixel has come; and what each width brought, (S, N)."""
    free, found = good.copy(), []
    brought = np.zeros((len(segments), len(values)))
    while free.any():
        best = [_best(scale, each, values, free) for scale, each in enumerate(segments)]
        region = max(best, key=lambda one: one.density)
        new = free & (segments[region.scale].of_pixel == region.segment)
        brought[region.scale, new] = region.density
        free &= ~new
        found.append(region)
    return tuple(found), brought


def _best(scale: int, segments: Segments, values: Floats, free: NDArray[np.bool_]) -> Region:
    """The segment of one width whose free pixels have the highest mean."""
    means = _means(segments, values, free)
    # What is not finite ends the ranking, and the attribution is refused as such.
    segment = int(np.where(np.isnan(means), np.inf, means).argmax())
    return Region(scale, segment, float(means[segment]))


def _means(segments: Segments, values: Floats, which: NDArray[np.bool_]) -> Floats:
    """Means (K,) of ``values`` over each segment's pixels among ``which``; the lowest where there is none."""
    label = segments.of_pixel[which]
    number = np.bincount(label, minlength=segments.count)
    sums = np.bincount(label, values[which], minlength=segments.count)
    means: Floats = np.divide(sums, number, out=np.full(segments.count, -np.inf), where=number > 0)
    return means


def _refuse(settings: RankedRegionsSettings, card: ModelCard, calibration_size: int) -> None:
    check_width(settings, "widths", settings.widths[-1], card.grid.size)
    refuse_baselines(settings, "baselines", settings.baselines, card, calibration_size)


RANKED_REGIONS = AttributionMethod(
    settings=RankedRegionsSettings,
    needs=frozenset({"forward", "gradient", "decoder"}),
    reference="Kapishnikov et al. 2019, arXiv 1906.02825",
    attribute=attribute,
    scales=lambda settings: settings.widths,
    units=lambda _: Units("nat / pixel", "nat / pixel"),
    passes=lambda settings, pixels: INTEGRATED_GRADIENTS.passes(settings.gradients, pixels),
    refuse=_refuse,
)
