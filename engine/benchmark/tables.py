"""Tables of a benchmark, for the terminal and for a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from engine.attribution.methods import DEFAULT_METHOD
from engine.benchmark.choice import Choice
from engine.benchmark.measures import MEASURES, Measure, Part, measures_of
from engine.benchmark.quotas import Cost, Quota
from engine.benchmark.results import BenchmarkResults, JudgedMap, MethodResults, Spectrum
from engine.evaluation.explanation_summary import Estimate, share
from engine.evaluation.explanation_tables import TextTable

PER_PIXEL_EDGES = (0.0, 1.0, 3.0, math.inf)
"""Sigma of one injected pixel, by which spectra are sorted beside their strength as a whole."""


def benchmark_markdown(results: BenchmarkResults, choice: Choice) -> str:
    """All tables as a page, with what the measures mean."""
    tables = (
        truth_table(results, choice),
        strength_table(results),
        kind_table(results),
        measure_table(results, "faithfulness", "Faithfulness to the score"),
        measure_table(results, "controls", "Stability and controls"),
        cost_table(results),
        spectra_table(results),
        detector_table(results),
    )
    meanings = [
        f"- **{each.heading}** ({each.summary}, {each.better} is good): {each.meaning} ({each.source})."
        for each in MEASURES.values()
    ]
    return "\n".join(
        [
            _heading(results),
            "",
            *(f"{each.markdown()}" for each in tables),
            choice_text(choice),
            "",
            *meanings,
            "",
        ]
    )


def truth_table(results: BenchmarkResults, choice: Choice) -> TextTable:
    """How well maps say where the anomaly is, by the mark that decides; the best first."""
    measures = measures_of("truth")
    by_mark = sorted(results.methods, key=lambda each: -_or_least(choice.marks[each.name].value))
    rows = [
        (each.name, str(len(each.maps)), cell(choice.marks[each.name]), *_cells(each, measures))
        for each in by_mark
    ]
    chance = [each.spectrum.chance for each in _longest(results).maps]
    area = [each.spectrum.area for each in _longest(results).maps]
    if chance:
        by_chance = {
            "located": _mean(chance),
            "average_precision": _mean(area),
            "mass": _mean(area),
            "auc": 0.5,
        }
        cells = [f"{by_chance[each.name]:.2f}" if each.name in by_chance else "" for each in measures]
        rows.append(("by chance", str(len(chance)), "", *cells))
    heads = ("method", "spectra", "mark", *(each.heading for each in measures))
    return TextTable("Pointing at what was injected", heads, tuple(rows))


def strength_table(results: BenchmarkResults) -> TextTable:
    """Share located, by both definitions of strength side by side."""
    strengths = sorted({each.strength for each in results.detected})
    edges = list(pairwise(PER_PIXEL_EDGES))
    heads = (
        "method",
        *(f"{each:g} σ in all" for each in strengths),
        *(_range(low, high) for low, high in edges),
    )
    rows = []
    for method in results.methods:
        by_whole = [[each for each in method.maps if each.spectrum.strength == one] for one in strengths]
        by_pixel = [
            [each for each in method.maps if low <= each.spectrum.per_pixel < high] for low, high in edges
        ]
        rows.append((method.name, *(_located(maps) for maps in (*by_whole, *by_pixel))))
    return TextTable("Located, by strength as a whole and by amplitude of one pixel", heads, tuple(rows))


def kind_table(results: BenchmarkResults) -> TextTable:
    """Share located, by kind of anomaly, all strengths together."""
    kinds = sorted({each.kind for each in results.detected})
    rows = [
        (
            method.name,
            *(_located([each for each in method.maps if each.spectrum.kind == kind]) for kind in kinds),
        )
        for method in results.methods
    ]
    heads = ("method", *(kind.replace("_", " ") for kind in kinds))
    return TextTable("Located, by anomaly", heads, tuple(rows))


def measure_table(results: BenchmarkResults, part: Part, title: str) -> TextTable:
    """One family of measures; the second column says on how many spectra they stand."""
    measures = measures_of(part)
    rows = []
    for method in results.methods:
        known = [each for each in method.maps if any(one.name in each.measures for one in measures)]
        rows.append((method.name, str(len(known)), *_cells(method, measures)))
    heads = ("method", "spectra", *(f"{each.heading} {_arrow(each)}" for each in measures))
    return TextTable(title, heads, tuple(rows))


def cost_table(results: BenchmarkResults) -> TextTable:
    """Seconds of one processor and passes, by model; how many spectra have no explanation."""
    heads = [
        "method",
        *(f"{name}, s" for name in results.models),
        *(f"{name}, passes" for name in results.models),
        "not explained",
    ]
    rows = [
        (
            each.name,
            *(cell(each.seconds(name)) for name in results.models),
            *(f"{passes:,}" if (passes := each.passes.get(name, 0)) else "" for name in results.models),
            str(sum(each.failures.values())),
        )
        for each in results.methods
    ]
    return TextTable("Cost of one explanation", tuple(heads), tuple(rows))


def spectra_table(results: BenchmarkResults) -> TextTable:
    """What was tried and detected: by kind and strength, with the median amplitude of one pixel."""
    strengths = sorted({each.strength for each in results.spectra})
    rows = []
    for kind in dict.fromkeys(each.kind for each in results.spectra):
        cells = [
            _counted([each for each in results.spectra if each.kind == kind and each.strength == strength])
            for strength in strengths
        ]
        rows.append((kind.replace("_", " "), *cells))
    heads = ("anomaly", *(f"{each:g} σ" for each in strengths))
    return TextTable("Detected of tried, and median σ of one injected pixel", heads, tuple(sorted(rows)))


def detector_table(results: BenchmarkResults) -> TextTable:
    """Area under the curve of every detector, by model and strength, with the amplitude of one pixel."""
    columns = list(dict.fromkeys((each.model, each.strength, each.per_pixel) for each in results.detectors))
    heads = (
        "detector",
        *(f"{model}, {whole:g} σ ({pixel:.2g} per pixel)" for model, whole, pixel in columns),
    )
    rows = []
    for name in dict.fromkeys(each.detector for each in results.detectors):
        found = {(each.model, each.strength): each for each in results.detectors if each.detector == name}
        rows.append(
            (
                name,
                *(
                    cell(Estimate(one.auc, one.auc_low, one.auc_high, one.spectra))
                    if (one := found.get((model, whole)))
                    else ""
                    for model, whole, _ in columns
                ),
            )
        )
    return TextTable("Detectors: area under the curve against clean twins", heads, tuple(rows))


def plan_table(costs: dict[str, Cost], quotas: dict[str, Quota], fields: int) -> TextTable:
    """What will be done, before it is."""
    rows = [
        (
            name,
            f"{costs[name].explain:.2f}",
            str(quota.judged * fields),
            str(quota.controlled * fields),
            f"{quota.seconds * fields / 60:.1f}",
        )
        for name, quota in quotas.items()
    ]
    total = sum(quota.seconds for quota in quotas.values()) * fields / 60
    heads = ("method", "s per explanation", "spectra", "with controls", "minutes of one processor")
    return TextTable("Plan", heads, (*rows, ("all", "", "", "", f"{total:.1f}")))


def choice_text(choice: Choice) -> str:
    """What the rule of decision 51 says, in sentences."""
    lines = [
        f"**Default by the rule of decision 51: `{choice.chosen}`.**"
        + ("" if DEFAULT_METHOD in choice.barred else " It stays: it was not judged, so none challenged it.")
        + ("" if choice.faithful else " It is among the lower half of all in both CPD and mu-fidelity.")
    ]
    lines += [f"`{name}` may not be it: {'; '.join(why)}." for name, why in choice.barred.items() if why]
    lines += [
        f"`{name}` against the default on {gain.count} common spectra: {cell(gain)}, above {bound:+.3f} at "
        "the level of the rule."
        for name, (gain, bound) in choice.gains.items()
    ]
    return "\n".join(f"{line}  " for line in lines)


def cell(found: Estimate) -> str:
    """A number with its interval."""
    if math.isnan(found.value):
        return ""
    return f"{_short(found.value)} ({_short(found.low)}–{_short(found.high)})"


def _heading(results: BenchmarkResults) -> str:
    settings = results.settings
    spectra = settings["spectra"]
    models = ", ".join(f"`{name}` ({digest[:12]})" for name, digest in results.models.items())
    return (
        f"{len(results.detected)} detected of {len(results.spectra)} simulated spectra with one anomaly "
        f"each, seed {spectra['seed']}; {models}. Intervals hold 95 %."
    )


def _cells(method: MethodResults, measures: Sequence[Measure]) -> list[str]:
    return [cell(method.estimate(each)) for each in measures]


def _longest(results: BenchmarkResults) -> MethodResults:
    return max(results.methods, key=lambda each: len(each.maps))


def _located(maps: Sequence[JudgedMap]) -> str:
    found = share([each.measure("located") == 1.0 for each in maps])
    return "" if not maps else f"{found.value:.2f} ({found.low:.2f}–{found.high:.2f}, {len(maps)})"


def _counted(spectra: Sequence[Spectrum]) -> str:
    if not spectra:
        return ""
    per_pixel = median(each.per_pixel for each in spectra)
    return f"{sum(each.detected for each in spectra)} of {len(spectra)}, {per_pixel:.2g}"


def _range(low: float, high: float) -> str:
    return (
        f"below {high:g} σ per pixel"
        if low == 0
        else f"{low:g} σ and more"
        if math.isinf(high)
        else f"{low:g} to {high:g} σ"
    )


def _arrow(measure: Measure) -> str:
    return "↑" if measure.better == "high" else "↓"


def _short(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.3g}"


def _or_least(value: float) -> float:
    return -math.inf if math.isnan(value) else value


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
