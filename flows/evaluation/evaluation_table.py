"""Tables of an evaluation in the terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from engine.evaluation.detectors import SCAN, SCORE, TAIL
from engine.evaluation.results import ALL, Detection, DetectionResults
from flows.console import facts, show_whole

_DETECTORS = (SCORE, SCAN, "ivar_chi2_all_100")
_DETAILED = 5.0
"""Strength, in sigma, at which the other detectors are shown: the nearest that was injected."""


def show_evaluation(console: Console, results: DetectionResults) -> None:
    """Print what the model found, what other detectors found, and what could be found."""
    settings = results.settings
    clean = next(each.selected for each in results.clean if each.snr == ALL)
    selected = f"{clean.value:.1%} of the clean ones ({clean.low:.1%} to {clean.high:.1%})"
    console.print(
        facts(
            f"{results.model} ({results.digest[:12]})",
            [
                (
                    "spectra",
                    f"{settings.spectra:,} simulated {', '.join(results.classes) or 'of all classes'}",
                ),
                ("selected", f"{selected} at a tail probability of {settings.threshold:g}"),
                ("against", "the same spectra without the anomaly"),
            ],
        )
    )
    console.print()
    show_whole(
        console,
        _by_strength(
            results,
            "Area under the curve, by tail probability (in brackets: if just the clean spectrum is known)",
            lambda cell: f"{cell.by(TAIL).auc.value:.2f}",
            lambda kind, strength: _bound(results, kind, strength, "auc"),
        ),
    )
    console.print()
    show_whole(
        console,
        _by_strength(
            results,
            f"Share found at {settings.false_positives:.0%} false positives (in brackets likewise)",
            lambda cell: f"{cell.by(TAIL).recall.value:.2f}",
            lambda kind, strength: _bound(results, kind, strength, "recall"),
        ),
    )
    console.print()
    show_whole(console, _detectors(results))
    for line in _left_out(results):
        console.print(line, style="yellow")


def _by_strength(
    results: DetectionResults,
    title: str,
    found: Callable[[Detection], str],
    bound: Callable[[str, float], str],
) -> Table:
    table = _table(title)
    for strength in results.settings.strengths:
        table.add_column(f"{strength:g} σ", justify="right", no_wrap=True)
    for kind in results.settings.kinds:
        cells = [results.cell(kind, strength) for strength in results.settings.strengths]
        table.add_row(
            kind.replace("_", " "),
            *(f"{found(cell)} ({bound(kind, cell.strength)})" if cell else "-" for cell in cells),
        )
    return table


def _detectors(results: DetectionResults) -> Table:
    strength = min(results.settings.strengths, key=lambda each: abs(each - _DETAILED))
    table = _table(f"Area under the curve at {strength:g} σ, with 95 % intervals, and by S/N per pixel")
    bins = [share.snr for share in results.clean if share.snr != ALL]
    table.add_column("tail probability", justify="right", no_wrap=True)
    for name in _DETECTORS:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for name in bins:
        table.add_column(f"S/N {name}", justify="right", no_wrap=True)
    for kind in results.settings.kinds:
        cell = results.cell(kind, strength)
        if cell is None:
            continue
        auc = cell.by(TAIL).auc
        parts = [results.cell(kind, strength, name) for name in bins]
        table.add_row(
            kind.replace("_", " "),
            f"{auc.value:.2f} ({auc.low:.2f}-{auc.high:.2f})",
            *(f"{cell.by(name).auc.value:.2f}" for name in _DETECTORS),
            *(f"{part.by(TAIL).auc.value:.2f}" if part else "-" for part in parts),
        )
    return table


def _bound(results: DetectionResults, kind: str, strength: float, rate: str) -> str:
    bound = results.bound(kind, strength)
    return f"{getattr(bound.unknown_shape, rate):.2f}" if bound else "-"


def _left_out(results: DetectionResults) -> list[str]:
    lines = []
    for each in results.injections:
        reasons = [
            f"{count} {text}"
            for count, text in (
                (each.no_place, "without a place for it"),
                (each.too_strong, "in which the kind cannot be as strong"),
                (each.unscorable, "that it makes unscorable"),
            )
            if count
        ]
        if reasons:
            kind = each.kind.replace("_", " ")
            lines.append(f"{kind} at {each.strength:g} σ: {each.injected} injected, {', '.join(reasons)}")
    return lines


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("anomaly", no_wrap=True)
    return table
