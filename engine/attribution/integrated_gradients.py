"""Integrated gradients: the slope of the score along straight paths from baselines to the spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.baselines import drawn_calibration
from engine.attribution.method import GRADIENT_PASSES, AttributionMethod, MethodSettings
from models.errors import ConfigurationError, ErrorKind

if TYPE_CHECKING:
    from engine.attribution.subject import Subject


@dataclass(frozen=True, slots=True)
class IntegratedGradientsSettings(MethodSettings):
    """Settings of integrated gradients.

    Attributes
    ----------
    baselines : number M of calibration spectra drawn at random, whose reconstructions the paths start from.
    seed : draws them.
    steps : points on every path, in the middle of equal steps.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "integrated-gradients"

    baselines: int = 8
    seed: int = 0
    steps: int = 16

    def __post_init__(self) -> None:
        for name, least in (("baselines", 1), ("seed", 0), ("steps", 1)):
            if getattr(self, name) < least:
                raise ConfigurationError(
                    "A setting of an attribution is out of range.",
                    where=f"{self.method} settings, {name}",
                    got=getattr(self, name),
                    allowed=f"an integer of at least {least}",
                    remedy=f"Set {name} to an allowed value.",
                    kind=ErrorKind.ATTRIBUTION_SETTINGS,
                )


def attribute(subject: Subject, settings: IntegratedGradientsSettings) -> Attribution:
    """See :class:`engine.attribution.method.AttributionMethod`.

    Summed over pixels, the map is the score less the baselines' mean score, but for the steps' coarseness.
    """
    import torch

    chosen = drawn_calibration(subject.decoder.calibration_size, settings.baselines, settings.seed)
    baselines = subject.decoder.baselines(chosen)
    flux = subject.flux.double()
    middle = (torch.arange(settings.steps, dtype=torch.float64, device=flux.device) + 0.5) / settings.steps
    maps = []
    for baseline in baselines.double():
        # Masked pixels stay as the spectrum has them: the model does not see them anyway.
        way = torch.where(subject.good, flux - baseline, 0.0)
        points = flux - (1 - middle[:, None]) * way
        maps.append(way * subject.gradient(points).mean(dim=0))
    each = torch.stack(maps).cpu().numpy()
    return attribution_of(
        subject, (1,), each.mean(axis=0)[None], spread=each.std(axis=0)[None], baselines=baselines
    )


INTEGRATED_GRADIENTS = AttributionMethod(
    settings=IntegratedGradientsSettings,
    needs=frozenset({"forward", "gradient", "decoder"}),
    reference="Sundararajan et al. 2017, arXiv 1703.01365",
    attribute=attribute,
    scales=lambda _: (1,),
    passes=lambda settings, _: GRADIENT_PASSES * settings.steps * settings.baselines,
)
