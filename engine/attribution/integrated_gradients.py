"""Integrated gradients: the slope of the score along straight paths from baselines to the spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, get_args

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.baselines import BaselineSource
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
    from engine.attribution.subject import Subject


@dataclass(frozen=True, slots=True)
class IntegratedGradientsSettings(MethodSettings):
    """Settings of integrated gradients.

    Attributes
    ----------
    baselines : number M of calibration spectra whose reconstructions the paths start from.
    seed : draws them, if they are drawn.
    steps : gradients on every path to begin with, an even number.
    most_steps : gradients on every path, in the mean, beyond which no piece of a path is cut again. As many
        as ``steps``: the published form, equal pieces and no more.
    tolerance : share of the score's rise above its baselines that the map may leave unaccounted.
    source : baselines drawn at ``random``, or the ``nearest``.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "integrated-gradients"

    baselines: int = 8
    seed: int = 0
    steps: int = 16
    most_steps: int = 128
    tolerance: float = 0.01
    source: BaselineSource = "random"

    def __post_init__(self) -> None:
        check_whole(self, baselines=1, seed=0, steps=2, most_steps=self.steps)
        check_between(self, "tolerance", 0.0, 1.0)
        check_choice(self, "source", get_args(BaselineSource))


def attribute(subject: Subject, settings: IntegratedGradientsSettings) -> Attribution:
    """See :class:`engine.attribution.method.AttributionMethod`.

    Summed over pixels, the map is the score less the baselines' mean score, to the tolerance.
    """
    import torch

    from engine.attribution.baselines import typical_spectra
    from engine.attribution.paths import Effort, path_gradients

    baselines = typical_spectra(subject, settings.source, settings.baselines, settings.seed).double()
    flux = subject.flux.double()
    # Masked pixels stay as the spectrum has them: the model does not see them anyway.
    ways = torch.where(subject.good, flux - baselines, 0.0)
    effort = Effort(settings.steps // 2, settings.most_steps // 2, settings.tolerance)
    each = (ways * path_gradients(subject, flux - ways, ways, effort)).cpu().numpy()
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
    refuse=lambda settings, card, size: refuse_baselines(
        settings, "baselines", settings.baselines, card, size
    ),
)
