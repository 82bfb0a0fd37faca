"""Extremal masks: the pixels, so many and no more, without which the spectrum is least odd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, get_args

import numpy as np

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.method import (
    GRADIENT_PASSES,
    AttributionMethod,
    MethodSettings,
    check_between,
    check_choice,
    check_whole,
)
from engine.attribution.occlusion.settings import check_windows
from engine.attribution.start import Start, start_of

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject

_HALVINGS = 60
"""After these the shift of a mask is known to float64's rounding."""


@dataclass(frozen=True, slots=True)
class ExtremalMasksSettings(MethodSettings):
    """Settings of extremal masks.

    Attributes
    ----------
    areas : of the masks, in pixels, strictly increasing.
    start : what shows through the mask: the ``reconstruction``, or ``zero`` flux.
    steps : of the ascent; rate : of a mask in one step, at the steepest pixel.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "extremal-masks"

    areas: tuple[int, ...] = (4, 16, 64, 256, 1024)
    start: Start = "reconstruction"
    steps: int = 24
    rate: float = 0.5

    def __post_init__(self) -> None:
        check_windows(self.areas, self.method, "areas")
        check_choice(self, "start", get_args(Start))
        check_whole(self, steps=1)
        check_between(self, "rate", 0.0, 1.0)


def attribute(subject: Subject, settings: ExtremalMasksSettings) -> Attribution:
    """Each area's mask, times by how much the score falls under it; combined, the mean.

    The published form adds a penalty for another area to what it minimises. Here every step ends on the
    nearest mask of that area, so the area is exact, and nothing has to be weighed. All areas are one batch.
    """
    import torch

    flux, good = subject.flux.double(), subject.good
    start = start_of(subject, settings.start)
    way = torch.where(good, flux - start, 0.0)
    area = flux.new_tensor(settings.areas)[:, None].clamp_max(float(good.sum()))
    mask = nearest_masks(area / good.sum() * good, area, good)
    best, least = mask, subject.log_probs(flux - mask * way)
    for _ in range(settings.steps):
        slope = subject.gradient(flux - mask * way) * way
        steepest = slope.abs().amax(dim=1, keepdim=True).clamp_min(1e-300)
        mask = nearest_masks(mask + settings.rate * slope / steepest, area, good)
        log_probs = subject.log_probs(flux - mask * way)
        best = torch.where((log_probs > least)[:, None], mask, best)
        least = torch.maximum(log_probs, least)
    fall = least - subject.log_probs(flux[None])
    maps = (best * fall[:, None]).cpu().numpy()
    shares = np.ones(len(settings.areas))
    return attribution_of(subject, settings.areas, maps, baselines=start[None], shares=shares)


def nearest_masks(wanted: Tensor, area: Tensor, good: Tensor) -> Tensor:
    """The masks from 0 to 1 nearest to ``wanted`` (A, N) that add up to ``area`` (A, 1); 0 where not good.

    Such a mask is the wanted one less a number, cut off at 0 and 1 (Wang & Lu 2015, arXiv 1503.01002).
    """
    import torch

    known = wanted.where(good, -torch.inf)
    low, high = wanted.amin(dim=1, keepdim=True) - 1, wanted.amax(dim=1, keepdim=True)
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        large = (known - middle).clamp(0, 1).sum(dim=1, keepdim=True) > area
        low, high = torch.where(large, middle, low), torch.where(large, high, middle)
    return (known - high).clamp(0, 1)


EXTREMAL_MASKS = AttributionMethod(
    settings=ExtremalMasksSettings,
    needs=frozenset({"forward", "gradient", "decoder"}),
    reference="Fong et al. 2019, arXiv 1910.08485",
    attribute=attribute,
    scales=lambda settings: settings.areas,
    passes=lambda settings, _: (GRADIENT_PASSES + 1) * settings.steps * len(settings.areas),
)
