"""Quotas: on how many spectra each method is judged, so that all of it fits into the time that there is.

Methods differ a thousandfold in cost. The method that all others are compared with may take half of the time.
The others share the rest equally, and what a cheap one leaves goes to the costly ones. A method is judged on
the first spectra of the list, and its controls are done on the first of these. So any two methods have
spectra in common.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from engine.benchmark.judging import CONTROL_EXPLANATIONS

CONTROLLED = 16
"""One in so many judged spectra is controlled, too."""
REFERENCE_SHARE = 0.5
"""Of the time, which the method that others are compared with may take."""
LEAST = 4
"""Spectra of each model that every method is judged on, however little time there is."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one method: seconds of one processor, of an explanation and of the measures of its map."""

    explain: float
    measure: float

    def seconds(self, judged: int, controlled: int) -> float:
        """Of so many spectra."""
        return judged * (self.explain + self.measure) + controlled * CONTROL_EXPLANATIONS * self.explain


@dataclass(frozen=True, slots=True)
class Quota:
    """Of one method: spectra of each model that it is judged on, those that are controlled, seconds."""

    judged: int
    controlled: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready description."""
        return asdict(self)


def quotas(costs: Mapping[str, Cost], spectra: int, seconds: float, reference: str = "") -> dict[str, Quota]:
    """Of every method, for so many ``spectra`` and ``seconds`` in all at most.

    ``reference`` names the method that others are compared with.
    """
    found: dict[str, Quota] = {}
    remaining = seconds
    if reference in costs:
        found[reference] = _quota(costs[reference], spectra, REFERENCE_SHARE * seconds)
        remaining -= found[reference].seconds
    # The cheapest first: what it does not need is shared by the others.
    others = sorted((name for name in costs if name not in found), key=lambda name: costs[name].seconds(1, 1))
    for place, name in enumerate(others):
        found[name] = _quota(costs[name], spectra, max(0.0, remaining) / (len(others) - place))
        remaining -= found[name].seconds
    return {name: found[name] for name in costs}


def _quota(cost: Cost, spectra: int, share: float) -> Quota:
    least = min(LEAST, spectra)
    for judged in range(spectra, least - 1, -1):
        controlled = -(-judged // CONTROLLED)
        seconds = cost.seconds(judged, controlled)
        if seconds <= share or judged == least:
            return Quota(judged, controlled, round(seconds, 1))
    raise AssertionError("the least is always given")
