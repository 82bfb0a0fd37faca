"""Tables of the ablation: combinations, windows and detected spectra at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from engine.evaluation.explained_injections import NEAREST
from engine.evaluation.explanation_results import ExplanationResults
from engine.evaluation.explanation_summary import Estimate, chance, responding, summaries
from engine.evaluation.explanation_tables import TextTable
from engine.evaluation.two_oddities import TwoOddities

SHOWN = 0.8
"""A map shows what it ranks so well."""


def methods_table(results: ExplanationResults) -> TextTable:
    """Every method on all detected spectra, the one that ranks best first."""
    spectra = results.detected
    found = sorted(summaries(results, spectra), key=lambda each: -each.located.value)
    rows = [
        (
            f"{each.method}, {each.width} px" if each.width else each.method,
            _interval(each.located),
            _interval(each.auc),
            f"{each.mass.value:.2f}",
        )
        for each in found
    ]
    by_chance = chance(spectra)
    rows.append(("by chance", f"{by_chance.located:.2f}", "0.50", f"{by_chance.mass:.2f}"))
    return TextTable(
        f"{len(spectra)} detected spectra of all kinds", ("method", "located", "AUC", "mass"), tuple(rows)
    )


def headline_table(found: Sequence[TwoOddities]) -> TextTable:
    """How well every map ranks the line and the step, over spectra that hold both."""
    ranked: dict[str, list[tuple[float, float]]] = {}
    for each in found:
        for family, maps in (("window", each.maps), (f"{NEAREST}window", each.near_maps)):
            for width, one in zip(each.windows.tolist(), maps, strict=True):
                ranked.setdefault(f"{family} {width}", []).append(each.ranked(one))
        for name, one in each.others.items():
            ranked.setdefault(name, []).append(each.ranked(one))
    rows = tuple(
        (
            name,
            *(f"{median(values):.2f} ({min(values):.2f})" for values in zip(*pairs, strict=True)),
            str(sum(min(pair) >= SHOWN for pair in pairs)),
        )
        for name, pairs in ranked.items()
    )
    heads = ("map", "line: median (least)", "step: median (least)", f"both at least {SHOWN:g}")
    return TextTable(f"{len(found)} spectra with a double-peaked line and a step", heads, rows)


def window_table(results: ExplanationResults, family: str, combination: str) -> TextTable:
    """Mean localisation AUC of each window alone by kind, and the window that adds most at the peak."""
    prefix = f"{family} "
    names = [name for name in results.methods if name.startswith(prefix) and name[len(prefix) :].isdigit()]
    rows = []
    for kind in results.kinds:
        spectra = results.of(kind, detected=True)
        if not spectra:
            continue
        cells = []
        for name in names:
            one = [each.found[name] for each in spectra]
            located, ranked = sum(each.located for each in one), sum(each.auc for each in one) / len(one)
            cells.append(f"{located} ({ranked:.2f})")
        often = responding(combination, spectra).most_common(1)[0][0]
        width = sum(each.width for each in spectra) / len(spectra)
        rows.append((kind.replace("_", " "), str(len(spectra)), f"{width:.0f}", *cells, f"{often} px"))
    heads = (
        "kind",
        "spectra",
        "width (Å)",
        *(f"{name[len(prefix) :]} px" for name in names),
        "adds most",
    )
    return TextTable(f"Located by one {family} alone (AUC)", heads, tuple(rows))


def _interval(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"
