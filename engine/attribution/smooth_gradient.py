"""Smooth gradient: saliency averaged over noise that is added to the spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.memory import check_held
from engine.attribution.method import (
    GRADIENT_PASSES,
    AttributionMethod,
    MethodSettings,
    Units,
    check_between,
    check_choice,
    check_whole,
)
from engine.attribution.saliency import slope_units, step_of

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject

NoiseSize = Literal["errors", "range"]


@dataclass(frozen=True, slots=True)
class SmoothGradientSettings(MethodSettings):
    """Settings of the smooth gradient.

    Attributes
    ----------
    size : of the noise. ``range``, as published: a share of the spectrum's range of flux, the same in all
        pixels, and slopes per unit of flux. ``errors``: that of each pixel, and slopes per sigma.
    level : how often the errors, or which share of the range (published: 0.15).
    law : ``normal`` as in SmoothGrad, or ``ball``, uniform within a ball as in arXiv 2405.06361.
    samples : number of noisy spectra; seed : draws their noise.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "smooth-gradient"

    size: NoiseSize = "errors"
    level: float = 1.0
    law: Literal["normal", "ball"] = "normal"
    samples: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice(self, "size", get_args(NoiseSize))
        check_choice(self, "law", ("normal", "ball"))
        check_between(self, "level", 0.0, 1000.0)
        check_whole(self, samples=1, seed=0)


def attribute(subject: Subject, settings: SmoothGradientSettings) -> Attribution:
    """The size of the mean slope; the slopes' spread over the noise."""
    from engine.attribution.draws import noise

    numbers = _held(settings, len(subject.flux))
    check_held(subject.memory_bytes, numbers, f"{settings.samples} noisy spectra and their slopes")
    drawn = noise(settings.seed, settings.samples, settings.law, _deviation(subject, settings))
    slopes = subject.gradient(subject.flux.double() + drawn) * step_of(subject, _per(settings))
    spread = slopes.std(dim=0, correction=0, keepdim=True)
    mean = slopes.mean(dim=0, keepdim=True).abs()
    return attribution_of(subject, (1,), mean.cpu().numpy(), spread=spread.cpu().numpy())


def _held(settings: SmoothGradientSettings, pixels: int) -> int:
    return 2 * settings.samples * pixels


def _deviation(subject: Subject, settings: SmoothGradientSettings) -> Tensor:
    if settings.size == "errors":
        return settings.level * subject.sigma
    flux = subject.flux.double()[subject.good]
    return settings.level * (flux.max() - flux.min()) * subject.good.double()


def _per(settings: SmoothGradientSettings) -> Literal["sigma", "flux"]:
    return "sigma" if settings.size == "errors" else "flux"


def _units(settings: SmoothGradientSettings) -> Units:
    return slope_units(_per(settings))


SMOOTH_GRADIENT = AttributionMethod(
    settings=SmoothGradientSettings,
    needs=frozenset({"forward", "gradient"}),
    reference="Smilkov et al. 2017, arXiv 1706.03825; uniform noise: Wang & Kong 2024, arXiv 2405.06361",
    attribute=attribute,
    scales=lambda _: (1,),
    units=_units,
    passes=lambda settings, _: GRADIENT_PASSES * settings.samples,
    held=_held,
)
