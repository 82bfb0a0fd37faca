"""Tables of an evaluation as Markdown, for pages such as ``docs/evaluation.md``."""

from __future__ import annotations

from collections.abc import Iterable

from engine.evaluation.detectors import DETECTORS, TAIL
from engine.evaluation.rates import Estimate
from engine.evaluation.results import ALL, Detection, DetectionResults


def detection_markdown(results: DetectionResults) -> str:
    """Areas under the curve and recall by strength, then every detector and every bin by kind."""
    settings = results.settings
    classes = ", ".join(results.classes) or "all classes"
    what = f"{settings.spectra:,} simulated spectra of {classes}, seed {settings.seed}"
    meaning = (
        "with its 95 % interval; in brackets what an observer reaches who knows the clean spectrum and the "
        "anomaly's shape, then one who knows the clean spectrum alone:"
    )
    parts = [
        f"`{results.model}` ({results.digest[:12]}), {what}.",
        f"Area under the curve by tail probability, {meaning}",
        _by_strength(results, "auc"),
        f"Share found at {settings.false_positives:.0%} false positives, likewise:",
        _by_strength(results, "recall"),
        f"Share with a tail probability of at most {settings.threshold:g}, as in a run:",
        _selected(results),
        "Clean spectra at or below it:",
        _table(
            ["S/N", "clean spectra", "selected"],
            (
                [share.snr, str(share.spectra), f"{share.selected.value:.3f}{_interval(share.selected)}"]
                for share in results.clean
            ),
        ),
    ]
    for strength in settings.strengths:
        parts += [
            f"Area under the curve at {strength:g} σ, by detector:",
            _table(
                ["anomaly", *DETECTORS],
                (
                    [_name(cell.kind), *(f"{cell.by(name).auc.value:.2f}" for name in DETECTORS)]
                    for cell in _cells(results, strength)
                ),
            ),
            f"Area under the curve at {strength:g} σ by tail probability, by S/N (number of spectra):",
            _by_noise(results, strength),
        ]
    return "\n\n".join(parts) + "\n"


def _by_strength(results: DetectionResults, rate: str) -> str:
    rows = []
    for kind in results.settings.kinds:
        row = [_name(kind)]
        for strength in results.settings.strengths:
            cell, bound = results.cell(kind, strength), results.bound(kind, strength)
            if cell is None or bound is None:
                row.append("-")
                continue
            found = getattr(cell.by(TAIL), rate)
            known = ", ".join(
                f"{getattr(each, rate):.2f}" for each in (bound.unknown_place, bound.unknown_shape)
            )
            row.append(f"{found.value:.2f}{_interval(found)} ({known})")
        rows.append(row)
    return _table(["anomaly", *(f"{strength:g} σ" for strength in results.settings.strengths)], rows)


def _selected(results: DetectionResults) -> str:
    strengths = results.settings.strengths
    rows = []
    for kind in results.settings.kinds:
        cells = [results.cell(kind, strength) for strength in strengths]
        rows.append([_name(kind), *(f"{cell.selected.value:.2f}" if cell else "-" for cell in cells)])
    return _table(["anomaly", *(f"{strength:g} σ" for strength in strengths)], rows)


def _by_noise(results: DetectionResults, strength: float) -> str:
    bins = [share.snr for share in results.clean if share.snr != ALL]
    rows = []
    for whole in _cells(results, strength):
        cells = [results.cell(whole.kind, strength, name) for name in bins]
        texts = [f"{cell.by(TAIL).auc.value:.2f} ({cell.spectra})" if cell else "-" for cell in cells]
        rows.append([_name(whole.kind), *texts])
    return _table(["anomaly", *(f"S/N {name}" for name in bins)], rows)


def _cells(results: DetectionResults, strength: float) -> list[Detection]:
    found = (results.cell(kind, strength) for kind in results.settings.kinds)
    return [cell for cell in found if cell is not None]


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _interval(estimate: Estimate) -> str:
    return f" {estimate.low:.2f}–{estimate.high:.2f}"


def _name(kind: str) -> str:
    return kind.replace("_", " ")
