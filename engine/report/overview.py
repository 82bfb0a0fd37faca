"""The report's numbers: what became of every spectrum and file, and with which settings."""

from __future__ import annotations

import math

from engine.attribution.cautions import Caution
from engine.report.gather import StoreFacts, status_counts
from engine.report.words import said, share
from engine.store.root import code_version
from models.calibration.false_discovery import false_discovery_rate


def tiles(facts: StoreFacts) -> list[dict[str, object]]:
    """The numbers at the top: name, value, note, and whether it is about oddness."""
    spectra, outliers = len(facts.status), len(facts.outliers)
    scored = facts.scored
    found = facts.clustering.summary if facts.clustering else None
    rand = f"mean adjusted Rand index {found.adjusted_rand:.2f}" if found else "not clustered yet"
    if found and math.isnan(found.adjusted_rand):
        rand = f"{found.clustered:,} explanations"
    return [
        {"name": "spectra", "value": f"{spectra:,}", "note": "each has a row", "odd": False},
        {"name": "scored", "value": f"{scored:,}", "note": share(scored, spectra), "odd": False},
        {
            "name": "outliers",
            "value": f"{outliers:,}",
            "note": f"{share(outliers, scored)} of the scored{_by_chance(facts, scored)}",
            "odd": True,
        },
        {
            "name": "explained",
            "value": f"{facts.explained:,}",
            "note": f"{share(facts.explained, outliers)} of the outliers",
            "odd": True,
        },
        {
            "name": "clusters",
            "value": str(len(found.clusters)) if found else "–",
            "note": rand,
            "odd": False,
        },
        {
            "name": "files quarantined",
            "value": f"{len(facts.refused):,}",
            "note": "with their reasons below" if facts.refused else "all could be read",
            "odd": bool(facts.refused),
        },
    ]


def _by_chance(facts: StoreFacts, scored: int) -> str:
    rate = false_discovery_rate(facts.view.configuration.threshold, scored, len(facts.outliers))
    return "" if rate is None else f"; up to {rate:.0%} of them by chance"


def notices(facts: StoreFacts) -> list[str]:
    """What a reader has to know before anything else."""
    notes = []
    if facts.refused:
        many = "1 file was" if len(facts.refused) == 1 else f"{len(facts.refused):,} files were"
        notes.append(f"{many} quarantined and not read: see the reasons under Run.")
    if len(facts.view.configuration.models) > 1:
        notes.append("Classes have models of their own: compare tail probabilities across them, not scores.")
    if facts.unmodelled:
        notes.append(
            f"The run had no model for some classes, whose spectra have no score: {facts.unmodelled}."
        )
    if facts.failed:
        notes.append(f"Outliers without an explanation, since scores of it are not finite: {facts.failed:,}.")
    waiting = len(facts.outliers) - facts.explained - facts.failed
    if waiting:
        notes.append(f"{waiting:,} outliers are not explained yet: 'whyspec run' completes them.")
    if facts.clustering and facts.clustering.summary.explanations != facts.explained:
        notes.append(
            f"The clusters were made from {facts.clustering.summary.explanations:,} explanations, the store "
            f"now has {facts.explained:,}: run 'whyspec cluster' again."
        )
    return notes


def statuses(facts: StoreFacts) -> list[dict[str, str]]:
    """Every status that occurs: label, count, share, meaning."""
    found = [
        {
            "label": status.label,
            "count": f"{count:,}",
            "share": share(count, len(facts.status)),
            "meaning": status.meaning,
        }
        for status, count in status_counts(facts.status)
    ]
    if facts.superseded:
        meaning = "rows of files that were read again in a newer version; kept, but left out of this report"
        found.append(
            {"label": "superseded", "count": f"{facts.superseded:,}", "share": "", "meaning": meaning}
        )
    if facts.gone:
        meaning = "rows, counted above, of files that have vanished from the release since they were read"
        found.append({"label": "gone", "count": f"{facts.gone:,}", "share": "", "meaning": meaning})
    return found


def cautions(facts: StoreFacts) -> list[dict[str, str]]:
    """Every caution that occurs: label, explanations, share of all, meaning, what to do."""
    carried = facts.outliers["cautions"].str.split().explode().value_counts()
    return [
        {
            "label": said(each.label),
            "count": f"{carried[each.label]:,}",
            "share": share(int(carried[each.label]), facts.explained),
            "meaning": each.meaning,
            "remedy": each.remedy,
        }
        for each in Caution
        if each.label in carried.index
    ]


def caution_note(facts: StoreFacts) -> str:
    """How many explanations carry none."""
    clean = int(((facts.outliers["cautions"] == "") & facts.outliers["explained"]).sum())
    return (
        f"{clean:,} of {facts.explained:,} explanations ({share(clean, facts.explained)}) carry none; the "
        f"others should not be read without a look at the spectrum."
    )


def settings(facts: StoreFacts) -> list[tuple[str, str]]:
    """Name and value of everything that decided the numbers."""
    view = facts.view
    configuration, grid = view.configuration, view.configuration.grid
    wavelength, sets = grid.wavelength(), view.explanation_sets()
    rows = [
        ("store", facts.store),
        ("release", ", ".join(facts.releases) or "none yet"),
        *(
            ("model", f"{model.name}, digest {model.digest}, for {model.scores}")
            for model in configuration.models
        ),
        ("threshold", f"tail probability at most {configuration.threshold:g}"),
        ("grid", f"{grid.name}: {grid.size:,} pixels, {wavelength[0]:.1f} to {wavelength[-1]:.1f} Å, vacuum"),
        *([("explanations", f"{view.explanation}, one of {', '.join(sets)}")] if len(sets) > 1 else []),
        (configuration.attribution.method, str(configuration.attribution)),
        (
            "finished blocks",
            f"{len(view.scored):,} of scores, {len(view.explained):,} of explanations",
        ),
        ("configuration digest", configuration.digest),
        ("code version", code_version()),
    ]
    if facts.clustering:
        tried = facts.clustering.summary.silhouettes
        silhouettes = ", ".join(f"{number}: {value:.3f}" for number, value in tried)
        name = facts.clustering.summary.name
        rows.append(("clustering", f"{name}; mean silhouette by number: {silhouettes or 'none'}"))
    return rows
