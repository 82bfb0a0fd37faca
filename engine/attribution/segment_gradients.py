"""Segment gradients: integrated gradients whose paths leave random segments of the spectrum as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, get_args

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.memory import check_held
from engine.attribution.method import (
    GRADIENT_PASSES,
    AttributionMethod,
    MethodSettings,
    check_choice,
    check_whole,
    setting_error,
)
from engine.attribution.start import Start, start_of

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject


@dataclass(frozen=True, slots=True)
class SegmentGradientsSettings(MethodSettings):
    """Settings of segment gradients.

    Attributes
    ----------
    start : ``zero`` as published, or the ``reconstruction``, from which a spectrum differs in what is odd.
    segments : random segments that a path leaves as they are; shortest, longest : their length in pixels.
    samples : paths; on each one gradient, at equal steps of the way from path to path.
    seed : draws the segments.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "segment-gradients"

    start: Start = "reconstruction"
    segments: int = 16
    shortest: int = 16
    longest: int = 256
    samples: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice(self, "start", get_args(Start))
        check_whole(self, segments=1, shortest=1, longest=self.shortest, samples=1, seed=0)
        if self.longest > 2**20:
            raise setting_error(self, "longest", f"at most {2**20}")


def attribute(subject: Subject, settings: SegmentGradientsSettings) -> Attribution:
    """For each pixel the mean, over the paths that move it, of the slope times the way.

    So a segment is also seen with other segments as they are in the spectrum: pieces that matter only
    together are not lost. The map does not add up to the score's rise. A pixel that no path moves has 0.
    """
    import torch

    flux = subject.flux.double()
    check_held(subject.memory_bytes, _held(settings, len(flux)), f"{settings.samples} paths and their slopes")
    start = start_of(subject, settings.start)
    moved = ~_kept(settings, flux) & subject.good
    left = (
        1 - (torch.arange(settings.samples, dtype=torch.float64, device=flux.device) + 0.5) / settings.samples
    )
    way = flux - start
    slopes = subject.gradient(flux - left[:, None] * torch.where(moved, way, 0.0)) * way
    count = moved.sum(dim=0).clamp_min(1)
    mean = torch.where(moved, slopes, 0.0).sum(dim=0) / count
    spread = (torch.where(moved, slopes - mean, 0.0).square().sum(dim=0) / count).sqrt()
    return attribution_of(
        subject,
        (1,),
        mean[None].cpu().numpy(),
        spread=spread[None].cpu().numpy(),
        baselines=start[None],
    )


def _held(settings: SegmentGradientsSettings, pixels: int) -> int:
    return 2 * settings.samples * pixels


def _kept(settings: SegmentGradientsSettings, flux: Tensor) -> Tensor:
    """(samples, N) bool, the pixels of random segments."""
    import torch

    from engine.attribution.draws import uniform

    shape = (settings.samples, settings.segments)
    length = uniform(settings.seed, *shape, flux.device) * (settings.longest - settings.shortest + 1)
    length = length.long() + settings.shortest
    begin = (uniform(settings.seed + 1, *shape, flux.device) * len(flux)).long()
    # One more from each segment's begin on, one fewer from its end on.
    steps = torch.zeros(settings.samples, len(flux) + 1, dtype=torch.long, device=flux.device)
    one = torch.ones_like(begin)
    steps.scatter_add_(1, begin, one).scatter_add_(1, (begin + length).clamp_max(len(flux)), -one)
    return steps.cumsum(dim=1)[:, :-1] > 0


SEGMENT_GRADIENTS = AttributionMethod(
    settings=SegmentGradientsSettings,
    needs=frozenset({"forward", "gradient", "decoder"}),
    reference="TIMING: Jang et al. 2025, arXiv 2506.05035",
    attribute=attribute,
    scales=lambda _: (1,),
    passes=lambda settings, _: GRADIENT_PASSES * settings.samples,
    held=_held,
)
