"""Tables of an evaluation in the terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from engine.evaluation.detectors import SCORE, TAIL
from engine.evaluation.latent_density import DENSITY
from engine.evaluation.results import ALL, Detection, DetectionResults
from engine.evaluation.rivals import RIVALS
from flows.console import facts, show_whole

_DETECTORS = (SCORE, *RIVALS, DENSITY)
_DETAILED = 20.0
"""Strength, in sigma, at which the other detectors are shown: the nearest that was injected."""


def show_evaluation(console: Console, results: DetectionResults) -> None:
    """Print what the model found, what other detectors found, and what could be found."""
    settings = results.settings
    console.print(
        facts(
            f"{results.model} ({results.digest[:12]})",
            [
                (
                    "spectra",
                    f"{settings.spectra:,} simulated {', '.join(results.classes) or 'of all classes'}",
                ),
                ("against", "the same spectra without the anomaly"),
                ("rivals", f"learn from {settings.rivals:,} clean spectra of another seed"),
            ],
        )
    )
    console.print()
    show_whole(console, _clean(results))
    console.print()
    show_whole(
        console,
        _by_strength(
            results,
            "Area under the curve, by tail probability (in brackets: if just the clean spectrum is known; "
            "if shape and covariance are)",
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
    console.print()
    show_whole(console, _by_noise(results))
    console.print()
    show_whole(console, _causes(results))
    causes = results.causes
    if causes.bins:
        console.print(
            f"Instrument against source by its probability: AUC {causes.instrument_auc:.3f}. Probability of "
            f"the named cause: expected calibration error {causes.calibration_error:.3f}."
        )
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


def _clean(results: DetectionResults) -> Table:
    thresholds = tuple(dict.fromkeys(each.threshold for each in results.clean))
    table = _table("False alarms: share of clean spectra selected, with 95 % intervals", "S/N")
    table.add_column("spectra", justify="right", no_wrap=True)
    for threshold in thresholds:
        table.add_column(f"at {threshold:g}", justify="right", no_wrap=True)
    for snr in (ALL, *results.bins):
        found = [results.clean_share(snr, threshold) for threshold in thresholds]
        shares = [each.selected for each in found]
        texts = [f"{each.value:.2%} ({each.low:.2%}-{each.high:.2%})" for each in shares]
        table.add_row(snr, f"{found[0].spectra:,}", *texts)
    return table


def _detailed(results: DetectionResults) -> tuple[float, list[Detection]]:
    """The strength that is shown in detail, and the cells of all spectra."""
    strength = min(results.settings.strengths, key=lambda each: abs(each - _DETAILED))
    cells = (results.cell(kind, strength) for kind in results.settings.kinds)
    return strength, [cell for cell in cells if cell is not None]


def _detectors(results: DetectionResults) -> Table:
    strength, cells = _detailed(results)
    table = _table(f"Area under the curve at {strength:g} σ: tail probability, score, rivals")
    table.add_column("effective σ", justify="right", no_wrap=True)
    for name in (TAIL, *_DETECTORS):
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for cell in cells:
        rates = (f"{cell.by(name).auc.value:.2f}" for name in (TAIL, *_DETECTORS))
        table.add_row(cell.kind.replace("_", " "), f"{cell.effective:.1f}", *rates)
    means = (results.mean_rate(strength, name, "auc") for name in (TAIL, *_DETECTORS))
    table.add_row(
        "mean of kinds not held out", "", *("-" if each != each else f"{each:.3f}" for each in means)
    )
    return table


def _by_noise(results: DetectionResults) -> Table:
    strength, cells = _detailed(results)
    table = _table(f"Area under the curve at {strength:g} σ by tail probability, by S/N per pixel")
    table.add_column("all, 95 % interval", justify="right", no_wrap=True)
    for name in results.bins:
        table.add_column(f"S/N {name}", justify="right", no_wrap=True)
    for cell in cells:
        auc = cell.by(TAIL).auc
        parts = [results.cell(cell.kind, strength, name) for name in results.bins]
        table.add_row(
            cell.kind.replace("_", " "),
            f"{auc.value:.2f} ({auc.low:.2f}-{auc.high:.2f})",
            *(f"{part.by(TAIL).auc.value:.2f}" if part else "-" for part in parts),
        )
    return table


def _causes(results: DetectionResults) -> Table:
    table = _table("Causes of the selected ones, all strengths; of the right cause the share, 95 % interval")
    for name in ("selected", "right cause", "right"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("called otherwise", no_wrap=True)
    for kind in results.causes.kinds:
        wrong = [(count, name) for name, count in kind.named.items() if count and name != kind.right]
        rate = kind.rightly
        table.add_row(
            kind.kind.replace("_", " "),
            str(kind.selected),
            kind.right.replace("_", " "),
            f"{rate.value:.2f} ({rate.low:.2f}-{rate.high:.2f})" if kind.selected else "-",
            ", ".join(f"{name.replace('_', ' ')} {count}" for count, name in sorted(wrong, reverse=True)[:3]),
        )
    return table


def _bound(results: DetectionResults, kind: str, strength: float, rate: str) -> str:
    bound = results.bound(kind, strength)
    if bound is None:
        return "-"
    return "; ".join(f"{getattr(each, rate):.2f}" for each in (bound.unknown_shape, bound.known_covariance))


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


def _table(title: str, first: str = "anomaly") -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column(first, no_wrap=True)
    return table
