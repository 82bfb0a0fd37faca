"""Gradient times input: the slope of the score at the spectrum, times its flux."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.method import GRADIENT_PASSES, AttributionMethod, MethodSettings

if TYPE_CHECKING:
    from engine.attribution.subject import Subject


@dataclass(frozen=True, slots=True)
class GradientSettings(MethodSettings):
    """Nothing to choose."""

    method: ClassVar[str] = "gradient-times-input"


def attribute(subject: Subject, settings: GradientSettings) -> Attribution:  # noqa: ARG001
    """See :class:`engine.attribution.method.AttributionMethod`."""
    flux = subject.flux.double()
    return attribution_of(subject, (1,), (subject.gradient(flux[None]) * flux).cpu().numpy())


GRADIENT_TIMES_INPUT = AttributionMethod(
    settings=GradientSettings,
    needs=frozenset({"forward", "gradient"}),
    reference="Shrikumar et al. 2016, arXiv 1605.01713",
    attribute=attribute,
    scales=lambda _: (1,),
    passes=lambda _settings, _pixels: GRADIENT_PASSES,
)
