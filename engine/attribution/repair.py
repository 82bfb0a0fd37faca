"""Repair: the smallest change of a spectrum, in units of its noise, after which it is usual."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from engine.attribution.attribution import Attribution, attribution_of
from engine.attribution.method import (
    GRADIENT_PASSES,
    AttributionMethod,
    MethodSettings,
    Units,
    check_between,
    check_whole,
)

if TYPE_CHECKING:
    from engine.attribution.subject import Subject


@dataclass(frozen=True, slots=True)
class RepairSettings(MethodSettings):
    """Settings of repair.

    Attributes
    ----------
    usual : tail probability from which on a spectrum is usual. Twice the share that a run selects by
        default, so that a repaired spectrum is none of its outliers.
    rounds : how often the model looks at the repaired spectrum anew, if it is still odd.
    steps : changes in a round.

    Raises
    ------
    ConfigurationError : a value is outside what is allowed.
    """

    method: ClassVar[str] = "repair"

    usual: float = 0.02
    rounds: int = 4
    steps: int = 6

    def __post_init__(self) -> None:
        check_between(self, "usual", 0.0, 0.5)
        check_whole(self, rounds=1, steps=1)


def attribute(subject: Subject, settings: RepairSettings) -> Attribution:
    """The size of the change, in sigma of each pixel. The repaired spectrum is the baseline.

    Its score is the baseline's: above that of a usual spectrum if no repair was found. A spectrum that is
    usual is not changed.
    """
    from engine.attribution.repairing import repaired

    spectrum, log_prob = repaired(subject, settings.usual, settings.rounds, settings.steps)
    change = (subject.flux.double() - spectrum) * subject.ivar.sqrt()
    found = attribution_of(subject, (1,), change.abs()[None].cpu().numpy(), baselines=spectrum[None])
    return replace(found, baseline_scores=-subject.log_probs(spectrum[None], log_prob).cpu().numpy())


REPAIR = AttributionMethod(
    settings=RepairSettings,
    needs=frozenset({"forward", "gradient", "decoder", "anew"}),
    reference="docs/decisions/0046-repair.md, after Ide et al. 2021, AAAI 35, 4045 (likelihood compensation)",
    attribute=attribute,
    scales=lambda _: (1,),
    units=lambda _: Units("sigma", "sigma"),
    # A gradient, a reconstruction and a batch of trials for each step.
    passes=lambda settings, _: settings.rounds * settings.steps * (GRADIENT_PASSES + 2),
    baseline_name="repaired spectrum",
)
