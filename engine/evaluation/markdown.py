"""Tables of an evaluation as Markdown, for pages such as ``docs/evaluation.md``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from engine.evaluation.detectors import DETECTORS, TAIL
from engine.evaluation.rates import Estimate
from engine.evaluation.results import ALL, Detection, DetectionResults

EFFECTIVE_AT = 20.0
"""Strength, in sigma, for which effective strengths are stated by S/N."""


def detection_markdown(results: DetectionResults) -> str:
    """Areas under the curve and recall by strength, then every detector and every bin by kind."""
    settings = results.settings
    classes = ", ".join(results.classes) or "all classes"
    what = f"{settings.spectra:,} simulated spectra of {classes}, seed {settings.seed}"
    meaning = (
        "with its 95 % interval; in brackets what observers reach who know clean spectrum and shape, that "
        "spectrum alone, shape and covariance of the population:"
    )
    parts = [
        f"`{results.model}` ({results.digest[:12]}), {what}.",
        f"Area under the curve by tail probability, {meaning}",
        _by_strength(results, "auc"),
        f"Share found at {settings.false_positives:.0%} false positives, likewise:",
        _by_strength(results, "recall"),
        "Strength per pixel, and effective strength against noise and population (σ, medians):",
        _strengths(results),
        f"Effective strength at {EFFECTIVE_AT:g} σ, by S/N:",
        _effective_by_noise(results),
        f"Share with a tail probability of at most {settings.threshold:g}, as in a run:",
        _selected(results),
        "False alarms, the share of clean spectra at or below a tail probability:",
        clean_markdown(results),
        "Causes of the selected spectra, all strengths together; the right cause is bold, its share is last:",
        _causes(results),
        _probabilities(results),
    ]
    for strength in settings.strengths:
        parts += [
            f"Area under the curve at {strength:g} σ, by detector (the mean is that of kinds not held out):",
            _by_detector(results, strength, "auc"),
            f"Share found at {settings.false_positives:.0%} false positives, at {strength:g} σ, likewise:",
            _by_detector(results, strength, "recall"),
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
                f"{getattr(each, rate):.2f}"
                for each in (bound.unknown_place, bound.unknown_shape, bound.known_covariance)
            )
            row.append(f"{found.value:.2f}{_interval(found)} ({known})")
        rows.append(row)
    return _table(["anomaly", *(f"{strength:g} σ" for strength in results.settings.strengths)], rows)


def _by_detector(results: DetectionResults, strength: float, rate: Literal["auc", "recall"]) -> str:
    rows = [
        [_name(cell.kind), *(f"{getattr(cell.by(name), rate).value:.2f}" for name in DETECTORS)]
        for cell in _cells(results, strength)
    ]
    means = [results.mean_rate(strength, name, rate) for name in DETECTORS]
    rows.append(["*mean*", *("-" if mean != mean else f"{mean:.3f}" for mean in means)])
    return _table(["anomaly", *(_name(name) for name in DETECTORS)], rows)


def _selected(results: DetectionResults) -> str:
    strengths = results.settings.strengths
    rows = []
    for kind in results.settings.kinds:
        cells = [results.cell(kind, strength) for strength in strengths]
        rows.append([_name(kind), *(f"{cell.selected.value:.2f}" if cell else "-" for cell in cells)])
    return _table(["anomaly", *(f"{strength:g} σ" for strength in strengths)], rows)


def _strengths(results: DetectionResults) -> str:
    strengths = results.settings.strengths
    rows = []
    for kind in results.settings.kinds:
        cells = [results.cell(kind, strength) for strength in strengths]
        texts = [f"{cell.per_pixel:.2g}, {cell.effective:.2g}" if cell else "-" for cell in cells]
        rows.append([_name(kind), *texts])
    return _table(["anomaly", *(f"{strength:g} σ" for strength in strengths)], rows)


def _effective_by_noise(results: DetectionResults) -> str:
    # It is proportional to the strength: one of them tells all.
    strength = min(results.settings.strengths, key=lambda each: abs(each - EFFECTIVE_AT))
    rows = []
    for whole in _cells(results, strength):
        cells = [results.cell(whole.kind, strength, name) for name in (ALL, *results.bins)]
        scaled = [cell.effective * EFFECTIVE_AT / strength if cell else None for cell in cells]
        rows.append([_name(whole.kind), *("-" if each is None else f"{each:.1f}" for each in scaled)])
    return _table(["anomaly", ALL, *(f"S/N {name}" for name in results.bins)], rows)


def _by_noise(results: DetectionResults, strength: float) -> str:
    bins = results.bins
    rows = []
    for whole in _cells(results, strength):
        cells = [results.cell(whole.kind, strength, name) for name in bins]
        texts = [f"{cell.by(TAIL).auc.value:.2f} ({cell.spectra})" if cell else "-" for cell in cells]
        rows.append([_name(whole.kind), *texts])
    return _table(["anomaly", *(f"S/N {name}" for name in bins)], rows)


def clean_markdown(results: DetectionResults) -> str:
    """False alarms at every threshold, of all clean spectra and of each bin of S/N, as a table."""
    thresholds = tuple(dict.fromkeys(each.threshold for each in results.clean))
    rows = []
    for snr in (ALL, *results.bins):
        found = [results.clean_share(snr, threshold) for threshold in thresholds]
        texts = [f"{each.selected.value:.4f} ({_ends(each.selected, 4)})" for each in found]
        rows.append([snr, f"{found[0].spectra:,}", *texts])
    return _table(["S/N", "clean spectra", *(f"at {threshold:g}" for threshold in thresholds)], rows)


def _causes(results: DetectionResults) -> str:
    kinds = results.causes.kinds
    names = list(kinds[0].named) if kinds else []
    rows = []
    for kind in kinds:
        counts = [
            f"**{kind.named[name]}**" if name == kind.right else str(kind.named[name]) for name in names
        ]
        rightly = f"{kind.rightly.value:.2f} ({_ends(kind.rightly, 2)})" if kind.selected else "-"
        rows.append([_name(kind.kind), str(kind.selected), *counts, rightly])
    return _table(["anomaly", "selected", *(_name(name) for name in names), "right"], rows)


def _probabilities(results: DetectionResults) -> str:
    causes = results.causes
    auc = f"{causes.instrument_auc:.3f}" if causes.instrument_auc == causes.instrument_auc else "-"
    error = f"{causes.calibration_error:.3f}" if causes.bins else "-"
    stated = (
        "Probability of instrument, sky or reduction: area under the curve, for anomalies made there against "
        f"those of the light, {auc}. Probability of the named cause: expected calibration error {error}."
    )
    lines = [
        stated,
        _table(
            ["probability of the named cause", "spectra", "mean", "right"],
            (
                [
                    f"{each.low:.1f}–{each.high:.1f}",
                    str(each.spectra),
                    f"{each.mean_probability:.2f}",
                    f"{each.rightly:.2f}",
                ]
                for each in causes.bins
            ),
        ),
    ]
    return "\n\n".join(lines)


def _cells(results: DetectionResults, strength: float) -> list[Detection]:
    found = (results.cell(kind, strength) for kind in results.settings.kinds)
    return [cell for cell in found if cell is not None]


def _table(header: list[str], rows: Iterable[list[str]]) -> str:
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _interval(estimate: Estimate) -> str:
    return f" {_ends(estimate, 2)}"


def _ends(estimate: Estimate, digits: int) -> str:
    return f"{estimate.low:.{digits}f}–{estimate.high:.{digits}f}"


def _name(kind: str) -> str:
    return kind.replace("_", " ")
