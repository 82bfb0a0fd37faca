"""Tables of an evaluation of explanations as text: for the terminal and for a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from engine.attribution.cautions import Caution
from engine.evaluation.baseline_ablation import BaselineAblation
from engine.evaluation.explained_injections import NEAREST, PUBLISHED
from engine.evaluation.explanation_results import ExplainedInjection, ExplanationResults
from engine.evaluation.explanation_summary import (
    Estimate,
    by_width,
    chance,
    mean,
    responding,
    share,
    summaries,
)

_COST_NAMES = {
    "occlusion": "inverse occlusion, overlapping windows",
    "nearest: occlusion": "the same, into the nearest baselines, their choice included",
    "reference-code": "inverse occlusion, tiled windows",
    "plain occlusion": "plain occlusion, overlapping windows",
}
WITHOUT_WIDTH = ("arm_step", "tilt")
"""Kinds that change a whole arm or spectrum: no place is as wide."""
_SNR_EDGES = (0.0, 4.0, 10.0, float("inf"))


@dataclass(frozen=True)
class TextTable:
    """A title, column heads, and rows of text as long as these."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """The table as Markdown, the first column to the left."""
        lines = [f"**{self.title}**", "", _line(self.heads), _line(["---", *["--:"] * (len(self.heads) - 1)])]
        return "\n".join([*lines, *(_line(row) for row in self.rows)]) + "\n"


def located_table(results: ExplanationResults, *, detected: bool) -> TextTable:
    """Share of spectra whose peak is on the injected pixels: method by kind, all strengths together."""
    which = (
        f"detected (tail probability at most {results.threshold:g})"
        if detected
        else "whether detected or not"
    )
    return _by_kind(
        results,
        f"Peak on the injected pixels or within 10 Å, {which}, strengths {_strengths(results)}",
        detected,
        "located",
    )


def ranking_table(results: ExplanationResults) -> TextTable:
    """Mean area under the curve of pixels ranked by the map: method by kind."""
    return _by_kind(
        results, f"Localisation AUC, strengths {_strengths(results)}", detected=False, measure="auc"
    )


def mass_table(results: ExplanationResults) -> TextTable:
    """Mean share of positive attribution on injected pixels: method by kind."""
    return _by_kind(
        results,
        f"Share of the positive attribution on injected pixels, strengths {_strengths(results)}",
        detected=False,
        measure="mass",
    )


def strength_table(results: ExplanationResults, method: str) -> TextTable:
    """One method by kind and strength, and by kind and signal-to-noise ratio, with intervals."""
    snr = list(pairwise(_SNR_EDGES))
    heads = (
        "located",
        *(f"{strength:g} σ" for strength in results.strengths),
        *(f"S/N {_range(low, high)}" for low, high in snr),
    )
    rows = []
    for kind in results.kinds:
        spectra = results.of(kind, detected=False)
        groups = [results.of(kind, strength, detected=False) for strength in results.strengths]
        groups += [[each for each in spectra if low <= each.snr < high] for low, high in snr]
        rows.append((_words(kind), *(_interval(_located(method, group)) for group in groups)))
    return TextTable(f"Located by {method}, by strength and by median S/N", heads, tuple(rows))


def width_table(results: ExplanationResults, prefix: str = "") -> TextTable:
    """Which windows find which kind: share located, each width alone, and the width of what was injected.

    ``prefix`` begins the names of the maps, e.g. :data:`engine.evaluation.explained_injections.NEAREST`.
    """
    widths = [each.width for each in by_width(results, f"{prefix}window", results.spectra)]
    heads = (
        "located by one window",
        "injected width (Å)",
        *(f"{width} px" for width in widths),
        "responds most",
    )
    rows = []
    for kind in results.kinds:
        spectra = results.of(kind, detected=False)
        each = by_width(results, f"{prefix}window", spectra)
        often = responding(prefix + PUBLISHED, spectra).most_common(1)
        rows.append(
            (
                _words(kind),
                f"{mean([one.width for one in spectra]).value:.0f}",
                *(f"{one.located.value:.2f}" for one in each),
                f"{often[0][0]} px" if often else "",
            )
        )
    return TextTable(f"{prefix}windows against the width of the anomaly", heads, tuple(rows))


def place_width_table(results: ExplanationResults) -> TextTable:
    """Whether first places lie on what was injected, and whether they are as wide, within a factor of two."""
    heads = (
        "first place",
        "spectra",
        "located",
        "injected width (Å)",
        "its width (Å)",
        "within a factor of 2",
    )
    rows = []
    for label, kinds in (*((_words(kind), (kind,)) for kind in results.kinds), ("all with a width", None)):
        spectra = [
            each
            for kind in (kinds or [name for name in results.kinds if name not in WITHOUT_WIDTH])
            for each in results.of(kind, detected=True)
        ]
        located = [each for each in spectra if each.place_located]
        alike = [0.5 <= each.place_width / each.width <= 2.0 for each in located]
        rows.append(
            (
                label,
                str(len(spectra)),
                _interval(share([each.place_located for each in spectra])),
                f"{mean([each.width for each in located]).value:.0f}" if located else "",
                f"{mean([each.place_width for each in located]).value:.0f}" if located else "",
                "" if kinds and kinds[0] in WITHOUT_WIDTH else _interval(share(alike)),
            )
        )
    return TextTable("Width of the first place, detected spectra", heads, tuple(rows))


def caution_table(results: ExplanationResults) -> TextTable:
    """How often a run's maps carry each caution, and how often those that do are located."""
    groups = ([each for each in results.spectra if each.drawn], results.detected)
    rows = []
    for label, bits in (*((one.label, int(one)) for one in Caution), ("none of them", 0)):
        cells = []
        for group in groups:
            carrying = [each for each in group if (each.cautions & bits if bits else not each.cautions)]
            cells += [
                f"{len(carrying) / len(group):.2f}" if group else "",
                _interval(share([each.run_located for each in carrying])),
            ]
        rows.append((label, *cells))
    sizes = [len(group) for group in groups]
    heads = ("caution", f"of {sizes[0]} drawn", "located", f"of {sizes[1]} detected", "located")
    return TextTable("Cautions of a run's maps", heads, tuple(rows))


def cost_table(results: ExplanationResults) -> TextTable:
    """What one map of each method costs, in passes through the model."""
    rows = tuple(
        (
            _COST_NAMES.get(name, name),
            f"{each.passes:,}",
            f"{each.seconds / results.pass_seconds:,.0f}",
            f"{each.seconds:.3g}",
        )
        for name, each in results.cost.items()
    )
    heads = ("method", "passes it stands for", "passes' time it took", "seconds")
    return TextTable("Cost of one spectrum, in one run on one machine", heads, rows)


def baseline_table(ablations: Sequence[BaselineAblation], combination: str) -> TextTable:
    """One combination by number and source of baselines."""
    rows = tuple(
        (
            each.source,
            str(each.baselines),
            _interval(each.located),
            f"{each.auc.value:.3f}",
            "" if each.repeats.value != each.repeats.value else f"{each.repeats.value:.2f}",
        )
        for each in ablations
        if each.combination == combination
    )
    heads = ("baselines", "number", "located", "AUC", "map repeats")
    return TextTable(f"Number and source of baselines, {combination}", heads, rows)


def best_combination(results: ExplanationResults) -> str:
    """The combination over windows, of any baselines, that locates most of all drawn spectra."""
    every = [each for each in results.spectra if each.drawn]
    if not every:
        return PUBLISHED
    found = {one.method: one for one in summaries(results, every)}
    return max(every[0].window, key=lambda name: (found[name].located.value, found[name].auc.value))


def all_tables(results: ExplanationResults) -> list[TextTable]:
    """All tables of an evaluation."""
    return [
        located_table(results, detected=True),
        located_table(results, detected=False),
        ranking_table(results),
        mass_table(results),
        strength_table(results, PUBLISHED),
        strength_table(results, best_combination(results)),
        width_table(results),
        width_table(results, NEAREST),
        place_width_table(results),
        caution_table(results),
        cost_table(results),
    ]


def _by_kind(results: ExplanationResults, title: str, detected: bool, measure: str) -> TextTable:
    groups = [results.of(kind, detected=detected) for kind in results.kinds]
    every = [each for group in groups for each in group]
    found = [{one.method: one for one in summaries(results, group)} for group in groups]
    whole = {one.method: one for one in summaries(results, every)}
    heads = ("", *(_words(kind) for kind in results.kinds), "all")
    rows = [("spectra", *(str(len(group)) for group in groups), str(len(every)))]
    for method, summary in whole.items():
        cells = [getattr(each[method], measure).value for each in found]
        name = f"{method}, best width" if summary.width else method
        values = [*cells, getattr(summary, measure).value]
        rows.append((name, *("" if value != value else f"{value:.2f}" for value in values)))
    if measure != "auc":
        key = "located" if measure == "located" else "mass"
        values = [getattr(chance(group), key) for group in [*groups, every]]
        rows.append(("by chance", *("" if value != value else f"{value:.2f}" for value in values)))
    return TextTable(title, heads, tuple(rows))


def _located(method: str, spectra: Sequence[ExplainedInjection]) -> Estimate:
    return share([each.found[method].located for each in spectra])


def _interval(estimate: Estimate) -> str:
    if not estimate.count:
        return ""
    return f"{estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"


def _range(low: float, high: float) -> str:
    return f"{low:g}–{high:g}" if high < float("inf") else f"from {low:g}"


def _strengths(results: ExplanationResults) -> str:
    return ", ".join(f"{strength:g}" for strength in results.strengths) + " σ"


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
