"""Choice of the default method from a benchmark.

The rule is that of docs/decisions/0051-the-benchmark-of-methods.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from engine.attribution.methods import DEFAULT_METHOD, METHODS
from engine.benchmark.intervals import lower_bound, mean_of_groups
from engine.benchmark.measures import MEASURES
from engine.benchmark.results import BenchmarkResults, JudgedMap, MethodResults
from engine.evaluation.explanation_summary import Estimate

LEAST_EXPLAINED = 0.99
MOST_LEAK = 0.05
MOST_LIKE_SHUFFLED = 0.5
MOST_SECONDS = 10.0
LEVEL = 1 - 0.05 / (len(METHODS) - 1)
"""One-sided, of each method that challenges the default: together they are wrong once in twenty times."""


@dataclass(frozen=True)
class Choice:
    """What the rule says.

    Attributes
    ----------
    marks : of every method, over its own spectra.
    barred : why a method may not be the default; empty for one that may.
    gains : mark above that of the default on common spectra, and what it is above at :data:`LEVEL`.
    chosen : the method that the rule names.
    faithful : False if it is among the lower half of all in both CPD and mu-fidelity.
    """

    marks: Mapping[str, Estimate]
    barred: Mapping[str, tuple[str, ...]]
    gains: Mapping[str, tuple[Estimate, float]]
    chosen: str
    faithful: bool


def mark(found: JudgedMap) -> float:
    """Mean of located, average precision, mass and, where the anomaly has one, width: 0 to 1; 0 of no map."""
    if found.failure:
        return 0.0
    values = [found.measure(name) for name in ("located", "average_precision", "mass", "width")]
    width = values.pop()
    # A map that is positive nowhere has no mass.
    known = [0.0 if math.isnan(each) else each for each in values]
    return sum([*known, *([] if math.isnan(width) else [width])]) / (3 if math.isnan(width) else 4)


def choose(results: BenchmarkResults) -> Choice:
    """By the rule; the default stays where it was not judged."""
    candidates = [each for each in results.methods if each.name in METHODS]
    marks = {each.name: mean_of_groups(_marks(results, each.maps)) for each in results.methods}
    barred = {each.name: _barred(results, each) for each in candidates}
    gains = _gains(results, candidates)
    winners = [
        each
        for each in candidates
        if not barred[each.name] and each.name in gains and gains[each.name][1] > 0
    ]
    chosen = _best(results, winners) if winners else DEFAULT_METHOD
    return Choice(marks, barred, gains, chosen, _faithful(candidates, chosen))


def _marks(results: BenchmarkResults, maps: Sequence[JudgedMap]) -> dict[str, list[float]]:
    return {name: [mark(each) for each in maps if each.spectrum.model == name] for name in results.models}


def _barred(results: BenchmarkResults, method: MethodResults) -> tuple[str, ...]:
    reasons = []
    explained = method.explained.value
    if not explained >= LEAST_EXPLAINED:
        reasons.append(f"explains {explained:.0%} of the spectra")
    for name, most, what in (
        ("leak", MOST_LEAK, "of its attribution where the scorer is blind"),
        ("random_weights", MOST_LIKE_SHUFFLED, "rank correlation with shuffled weights"),
    ):
        found = method.estimate(MEASURES[name]).value
        if not found <= most:
            reasons.append(f"{found:.2f} {what}")
    seconds = max((method.seconds(name).value for name in results.models), default=math.nan)
    if not seconds <= MOST_SECONDS:
        reasons.append(f"{seconds:.0f} s for a spectrum")
    return tuple(reasons)


def _gains(
    results: BenchmarkResults, candidates: Sequence[MethodResults]
) -> dict[str, tuple[Estimate, float]]:
    default = next((each for each in candidates if each.name == DEFAULT_METHOD), None)
    if default is None:
        return {}
    found = {}
    for each in candidates:
        pairs = _paired(results, each, default)
        if each.name != DEFAULT_METHOD and any(pairs.values()):
            found[each.name] = (mean_of_groups(pairs), lower_bound(pairs, LEVEL))
    return found


def _paired(results: BenchmarkResults, first: MethodResults, second: MethodResults) -> dict[str, list[float]]:
    """Differences of marks on common spectra, by model."""
    others = {(each.spectrum.model, each.spectrum.number): mark(each) for each in second.maps}
    found: dict[str, list[float]] = {name: [] for name in results.models}
    for each in first.maps:
        key = (each.spectrum.model, each.spectrum.number)
        if key in others:
            found[each.spectrum.model].append(mark(each) - others[key])
    return found


def _best(results: BenchmarkResults, winners: Sequence[MethodResults]) -> str:
    """The highest on the spectra that all have; of those that cannot be told from it, the cheapest."""
    common = set.intersection(
        *({(each.spectrum.model, each.spectrum.number) for each in method.maps} for method in winners)
    )
    reduced = [
        MethodResults(
            each.name,
            each.settings,
            each.passes,
            tuple(one for one in each.maps if (one.spectrum.model, one.spectrum.number) in common),
        )
        for each in winners
    ]
    best = max(reduced, key=lambda each: mean_of_groups(_marks(results, each.maps)).value)
    equals = [
        each for each in reduced if each is best or mean_of_groups(_paired(results, best, each)).low <= 0
    ]
    return min(equals, key=lambda each: each.seconds().value).name


def _faithful(candidates: Sequence[MethodResults], chosen: str) -> bool:
    own = next((each for each in candidates if each.name == chosen), None)
    if own is None:
        return True
    return any(
        own.estimate(MEASURES[name]).value
        >= median(each.estimate(MEASURES[name]).value for each in candidates)
        for name in ("cpd", "mu_fidelity")
    )
