"""Saliency: how steeply the score changes with each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.method import (
    GRADIENT_PASSES,
    AttributionMethod,
    MethodSettings,
    Units,
    check_choice,
)

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject

Step = Literal["sigma", "flux"]
"""What a slope is counted by: the error of each pixel, or the unit of flux as the published forms do."""


@dataclass(frozen=True, slots=True)
class SaliencySettings(MethodSettings):
    """Settings of saliency.

    Attributes
    ----------
    per : ``flux``, as published: a noisy pixel counts as much as a sure one. ``sigma``: the change of the
        score for a change by one standard deviation of the pixel's noise.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "saliency"

    per: Step = "sigma"

    def __post_init__(self) -> None:
        check_choice(self, "per", get_args(Step))


def attribute(subject: Subject, settings: SaliencySettings) -> Attribution:
    """The size of the slope; see :class:`engine.attribution.method.AttributionMethod`."""
    slope = subject.gradient(subject.flux.double()[None]) * step_of(subject, settings.per)
    return attribution_of(subject, (1,), slope.abs().cpu().numpy())


def step_of(subject: Subject, per: Step) -> Tensor:
    """(N,), by what a slope is multiplied."""
    return subject.sigma if per == "sigma" else subject.good.double()


def slope_units(per: Step) -> Units:
    """Units of slopes."""
    unit = "nat / sigma" if per == "sigma" else "nat / unit of flux"
    return Units(unit, unit)


SALIENCY = AttributionMethod(
    settings=SaliencySettings,
    needs=frozenset({"forward", "gradient"}),
    reference="Simonyan et al. 2013, arXiv 1312.6034",
    attribute=attribute,
    scales=lambda _: (1,),
    units=lambda settings: slope_units(settings.per),
    passes=lambda _settings, _pixels: GRADIENT_PASSES,
)
