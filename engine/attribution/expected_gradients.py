"""Expected gradients: slopes at random places between the spectrum and typical spectra of its redshift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.baselines import BaselineSource
from engine.attribution.memory import check_held
from engine.attribution.method import (
    GRADIENT_PASSES,
    AttributionMethod,
    MethodSettings,
    check_between,
    check_choice,
    check_whole,
    refuse_baselines,
)

if TYPE_CHECKING:
    from torch import Tensor

    from engine.attribution.subject import Subject

Places = Literal["stratified", "drawn"]


@dataclass(frozen=True, slots=True)
class ExpectedGradientsSettings(MethodSettings):
    """Settings of expected gradients.

    Attributes
    ----------
    baselines : number M of calibration spectra whose reconstructions are the other ends.
    source : baselines ``nearest`` to the spectrum, or drawn at ``random``.
    places : ``drawn``, as published: a random baseline and a random place for each sample. ``stratified``:
        every baseline as often, at one random place in each of as many equal parts of the way.
    samples : gradients of the first round; each further round has as many as all before it.
    most_samples : gradients beyond which there is no further round.
    tolerance : share of the score's rise above its baselines that the map may leave unaccounted.
    seed : draws baselines and places.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "expected-gradients"

    baselines: int = 8
    source: BaselineSource = "nearest"
    places: Places = "stratified"
    samples: int = 64
    most_samples: int = 1024
    tolerance: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole(self, baselines=1, samples=1, most_samples=self.samples, seed=0)
        check_choice(self, "source", get_args(BaselineSource))
        check_choice(self, "places", get_args(Places))
        check_between(self, "tolerance", 0.0, 1.0)


def attribute(subject: Subject, settings: ExpectedGradientsSettings) -> Attribution:
    """Mean over samples of the slope times the way, in rounds until it adds up to the score's rise."""
    import torch

    from engine.attribution.baselines import typical_spectra

    numbers = _held(settings, len(subject.flux))
    check_held(subject.memory_bytes, numbers, f"{_largest(settings)} points of paths and their slopes")
    baselines = typical_spectra(subject, settings.source, settings.baselines, settings.seed).double()
    flux = subject.flux.double()
    ways = torch.where(subject.good, flux - baselines, 0.0)
    rise = subject.scores(flux[None])[0] - subject.scores(baselines).mean()
    total, squares, samples, wanted = torch.zeros_like(flux), torch.zeros_like(flux), 0, settings.samples
    while wanted <= settings.most_samples:
        number, left = _drawn(settings, wanted - samples, samples, flux)
        slopes = subject.gradient(flux - left[:, None] * ways[number]) * ways[number]
        total, squares, samples = total + slopes.sum(dim=0), squares + slopes.square().sum(dim=0), wanted
        wanted = 2 * samples
        if abs(float(total.sum()) / samples - rise) <= settings.tolerance * abs(rise):
            break
    mean = (total / samples)[None]
    spread = (squares / samples - mean.square()).clamp_min(0).sqrt()
    return attribution_of(subject, (1,), mean.cpu().numpy(), spread=spread.cpu().numpy(), baselines=baselines)


def _largest(settings: ExpectedGradientsSettings) -> int:
    """Points of the largest round."""
    return max(settings.samples, settings.most_samples // 2)


def _held(settings: ExpectedGradientsSettings, pixels: int) -> int:
    return 2 * _largest(settings) * pixels


def _drawn(
    settings: ExpectedGradientsSettings, count: int, before: int, flux: Tensor
) -> tuple[Tensor, Tensor]:
    """Numbers of baselines and shares of the way that are left to the spectrum, (count,) each."""
    import torch

    from engine.attribution.draws import uniform

    random = uniform(settings.seed + before, count, 2, flux.device)
    if settings.places == "drawn":
        return (random[:, 0] * settings.baselines).long(), random[:, 1]
    sample = torch.arange(count, device=flux.device)
    parts = -(-count // settings.baselines)
    return sample % settings.baselines, (sample // settings.baselines + random[:, 1]) / parts


EXPECTED_GRADIENTS = AttributionMethod(
    settings=ExpectedGradientsSettings,
    needs=frozenset({"forward", "gradient", "decoder"}),
    reference="Erion et al. 2021, arXiv 1906.10670",
    attribute=attribute,
    scales=lambda _: (1,),
    passes=lambda settings, _: GRADIENT_PASSES * settings.samples,
    refuse=lambda settings, card, size: refuse_baselines(
        settings, "baselines", settings.baselines, card, size
    ),
)
