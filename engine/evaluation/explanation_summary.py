"""Results of explanations in few numbers: rates and means with intervals, and each family's best width."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.evaluation.explanation_results import ExplainedInjection, ExplanationResults

_DEVIATIONS = 1.96
_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number from ``count`` spectra with its 95 per cent interval; NaN of none."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class MethodSummary:
    """How one method did on some spectra.

    Attributes
    ----------
    method : its name; for families with widths that of the family.
    width : in pixels, of a family with widths the one that locates most of these very spectra, which
        favours it; 0 for other methods.
    located : share of the spectra.
    auc : mean over spectra.
    mass : mean share of positive attribution on injected pixels.
    """

    method: str
    width: int
    located: Estimate
    auc: Estimate
    mass: Estimate


@dataclass(frozen=True, slots=True)
class Chance:
    """What a map that knows nothing does on the same spectra: mean chance of a peak, mean area."""

    located: float
    mass: float


def share(hits: Sequence[bool]) -> Estimate:
    """A share with Wilson's interval."""
    count = len(hits)
    if not count:
        return Estimate(math.nan, math.nan, math.nan, 0)
    value, squared = sum(hits) / count, _DEVIATIONS**2
    middle = (value + squared / (2 * count)) / (1 + squared / count)
    half = _DEVIATIONS / (1 + squared / count)
    half *= math.sqrt(value * (1 - value) / count + squared / (4 * count**2))
    return Estimate(value, max(middle - half, 0.0), min(middle + half, 1.0), count)


def mean(values: Sequence[float]) -> Estimate:
    """A mean with a bootstrap interval; values that are NaN are left out."""
    known = np.array([each for each in values if math.isfinite(each)])
    if not len(known):
        return Estimate(math.nan, math.nan, math.nan, 0)
    random = np.random.Generator(np.random.PCG64(len(known)))
    means = known[random.integers(0, len(known), (_RESAMPLES, len(known)))].mean(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(known.mean()), float(low), float(high), len(known))


def summaries(results: ExplanationResults, spectra: Sequence[ExplainedInjection]) -> list[MethodSummary]:
    """Every method on ``spectra``; of a family with widths the best one."""
    families: dict[str, list[tuple[str, int]]] = {}
    for name in results.methods:
        family, _, width = name.rpartition(" ")
        if width.isdigit():
            families.setdefault(family, []).append((name, int(width)))
        else:
            families[name] = [(name, 0)]
    found = []
    for family, members in families.items():
        each = [_summary(family, name, width, spectra) for name, width in members]
        found.append(max(each, key=_rank))
    return found


def by_width(
    results: ExplanationResults, family: str, spectra: Sequence[ExplainedInjection]
) -> list[MethodSummary]:
    """Every width of a family on ``spectra``, narrow ones first."""
    names = [name for name in results.methods if name.rpartition(" ")[0] == family]
    return [_summary(family, name, int(name.rpartition(" ")[2]), spectra) for name in names]


def chance(spectra: Sequence[ExplainedInjection]) -> Chance:
    """See :class:`Chance`; NaN of no spectra."""
    if not spectra:
        return Chance(math.nan, math.nan)
    return Chance(
        float(np.mean([each.chance for each in spectra])), float(np.mean([each.area for each in spectra]))
    )


def responding(method: str, spectra: Sequence[ExplainedInjection]) -> Counter[int]:
    """How often each window adds most at the peak of a combination."""
    return Counter(each.window[method] for each in spectra)


def _summary(family: str, name: str, width: int, spectra: Sequence[ExplainedInjection]) -> MethodSummary:
    found = [each.found[name] for each in spectra]
    return MethodSummary(
        family,
        width,
        share([each.located for each in found]),
        mean([each.auc for each in found]),
        mean([each.mass for each in found]),
    )


def _rank(summary: MethodSummary) -> tuple[float, float]:
    located, auc = summary.located.value, summary.auc.value
    return (located if located == located else -1.0), (auc if auc == auc else -1.0)
