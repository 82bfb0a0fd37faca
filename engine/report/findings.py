"""The report's findings as charts: scores, places, clusters, single outliers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.attribution.agreement import Agreement
from engine.attribution.cautions import cautions_in
from engine.attribution.explanation import Explanation
from engine.attribution.places import NO_PLACE
from engine.clustering.clustering import ClusterMeans, ClusterSummary, Peak
from engine.clustering.stored import ReadClustering
from engine.figures.embedding import png_url, svg_url
from engine.figures.explanation import explanation_figure
from engine.figures.spectrum_score import SpectrumScore
from engine.report.charts import (
    cluster_chart,
    observed_places,
    rest_places,
    score_against,
    score_histogram,
)
from engine.report.gather import StoreFacts
from engine.report.observed_marks import observed_marks
from engine.report.viewers import short_name, viewer_links
from engine.report.words import said, share
from engine.spectra.observation import Observation
from engine.surveys.survey import ViewerLink

_FIGURE_DPI = 140
_CLUSTER_DPI = 150


@dataclass(frozen=True)
class Chart:
    """An image with what it says in words."""

    url: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Badge:
    """A caution on an outlier: its name, and what it says and asks for."""

    name: str
    text: str


@dataclass(frozen=True)
class Card:
    """One outlier with its figure."""

    key: str
    facts: tuple[tuple[str, str], ...]
    cautions: tuple[Badge, ...]
    links: tuple[ViewerLink, ...]
    figure: Chart


@dataclass(frozen=True)
class ClusterCard:
    """One cluster with its chart."""

    label: int
    title: str
    size: str
    share: str
    stability: str
    stable: bool
    peaks: tuple[str, ...]
    chart: Chart
    examples: tuple[str, ...]


@dataclass(frozen=True)
class ClusterSection:
    """The clusters and what is said of all."""

    summary: str
    messages: tuple[str, ...]
    clusters: tuple[ClusterCard, ...]


def score_charts(facts: StoreFacts) -> list[Chart]:
    """How scores are distributed, and against S/N and redshift."""
    scored = np.isfinite(facts.score)
    score, outlier = facts.score[scored], facts.outlier[scored]
    histogram = score_histogram(score, outlier, facts.view.configuration.threshold)
    noise = score_against(facts.snr[scored], score, outlier, "median S/N per pixel", logarithmic=True)
    depth = score_against(facts.redshift[scored], score, outlier, "redshift", logarithmic=False)
    tail = "Outliers in orange, all scored spectra in grey."
    return [
        Chart(
            svg_url(histogram),
            f"Histogram of the scores of {len(score):,} spectra, {int(outlier.sum()):,} of them outliers.",
            "Scores of all scored spectra. The dashed line is the lowest score of an outlier. The axis of "
            "scores is linear over the bulk and logarithmic in the tails.",
        ),
        Chart(
            svg_url(noise),
            "Score against signal to noise.",
            f"Score against S/N: outliers at low S/N only would point at noise. {tail}",
        ),
        Chart(
            svg_url(depth),
            "Score against redshift.",
            f"Score against redshift: a pile-up at one redshift points at its fit. {tail}",
        ),
    ]


def place_charts(facts: StoreFacts) -> list[Chart]:
    """Where the outliers' first places are, on the instrument and in the rest frame."""
    if not facts.explained:
        return []
    grid = facts.view.configuration.grid
    observed = facts.outliers["place_wavelength"].to_numpy(np.float64)
    rest = facts.outliers["place_rest_wavelength"].to_numpy(np.float64)
    marks = observed_marks(grid)
    first, last = (float(end) for end in grid.wavelength()[[0, -1]])
    beside = [bool(((observed >= mark.first) & (observed <= mark.last)).sum()) for mark in marks]
    inside = np.zeros(len(observed), dtype=np.bool_)
    for mark in marks:
        inside |= (observed >= mark.first) & (observed <= mark.last)
    marked = share(int(inside.sum()), facts.explained)
    named = int((facts.outliers["line"] != "").sum())
    return [
        Chart(
            svg_url(observed_places(observed, first, last, marks)),
            f"Histogram of the places by observed wavelength; {sum(beside)} marked ranges hold places.",
            f"Places on the instrument. {marked} of the explanations fall on sky lines and absorption bands "
            "(blue) or where arms meet (green).",
        ),
        Chart(
            svg_url(rest_places(rest)),
            "Histogram of the places by rest wavelength.",
            f"Places in the rest frame. {share(named, facts.explained)} are of a named line.",
        ),
    ]


def cluster_section(clustering: ReadClustering) -> ClusterSection:
    """Every cluster with its chart."""
    summary = clustering.summary
    many = "1 cluster" if len(summary.clusters) == 1 else f"{len(summary.clusters)} clusters"
    text = (
        f"{summary.clustered:,} of {summary.explanations:,} explanations are in {many}, found by the shape "
        "of their positive attribution in the rest frame, whatever its size, and by cause and first place."
    )
    if math.isfinite(summary.adjusted_rand):
        text += (
            f" Over bootstrap resamples the mean adjusted Rand index is {summary.adjusted_rand:.2f} "
            "(1: the same clusters every time, 0: chance); the stability of a cluster is its mean best "
            "Jaccard overlap."
        )
    cards = [
        _cluster_card(cluster, keys, clustering.means, summary.clustered)
        for cluster, keys in zip(summary.clusters, summary.example_keys, strict=True)
    ]
    return ClusterSection(text, summary.messages, tuple(cards))


def _cluster_card(
    cluster: ClusterSummary, keys: tuple[str, ...], means: ClusterMeans, clustered: int
) -> ClusterCard:
    place = cluster.label
    figure = cluster_chart(
        means.rest.wavelength(), means.flux[place], means.baseline[place], means.attribution[place], place
    )
    title = cluster.title
    single = math.isnan(cluster.jaccard)
    return ClusterCard(
        label=place,
        title=title,
        size=f"{cluster.size:,}",
        share=share(cluster.size, clustered),
        stability="one cluster only" if single else f"{cluster.jaccard:.2f}",
        stable=cluster.stable,
        peaks=tuple(_peak_text(peak) for peak in cluster.peaks),
        chart=Chart(
            # Thousands of points: as SVG it would be four times larger.
            png_url(figure, _CLUSTER_DPI),
            f"Mean spectrum and mean attribution of cluster {place}, {title}.",
            "Mean spectrum over mean baseline, and mean attribution (each member's divided by its largest), "
            "in the rest frame.",
        ),
        examples=keys,
    )


def _peak_text(peak: Peak) -> str:
    name = f" ({peak.line})" if peak.line else ""
    share_of_highest = "" if peak.height == 1.0 else f", {peak.height:.0%} as high"
    return f"{peak.wavelength:.0f} Å{name}: {peak.flux}{share_of_highest}"


def card(
    row: pd.Series, explained: Explanation, spectra: int, method: str, agreement: Sequence[Agreement] = ()
) -> Card:
    """One outlier with its figure, its numbers and links to viewers.

    Parameters
    ----------
    spectra : scored, among which it was found; method : name of the one that explained it.
    agreement : of the explanation with those by other sets.
    """
    score = SpectrumScore(
        str(row["spectype"]),
        float(row["score"]),
        float(row["tail_probability"]),
        float(row["tail_uncertainty"]),
    )
    facts = [
        ("redshift", f"{row['redshift']:.4f}"),
        ("class", str(row["spectype"]) or "unknown"),
        ("model", short_name(str(row["model"]))),
        ("score", f"{row['score']:.1f}"),
        ("tail probability", score.tail_text),
        ("S/N", f"{row['snr']:.1f}"),
        ("cause", str(explained.named_cause)),
        *((("estimates", "; ".join(map(str, explained.estimates))),) if explained.estimates else ()),
        *((("not testable", explained.not_testable_causes),) if explained.not_testable else ()),
        ("places", "; ".join(map(str, explained.places)) or NO_PLACE),
        ("significance", str(explained.significance(spectra))),
    ]
    facts += [(f"agreement with {each.second}", str(each)) for each in agreement]
    facts += Observation.of(row.to_dict()).facts
    if not pd.isna(row["cluster"]):
        facts.append(("cluster", str(row["cluster"])))
    if math.isfinite(row["ra"]):
        facts.append(("RA, Dec", f"{row['ra']:.5f}, {row['dec']:+.5f}"))
    return Card(
        key=str(row["key"]),
        facts=tuple(facts),
        cautions=tuple(
            Badge(said(each.label), f"{each.meaning}. {each.remedy}")
            for each in cautions_in(explained.cautions)
        ),
        links=viewer_links(explained.grid, str(row["key"]), float(row["ra"]), float(row["dec"])),
        figure=Chart(
            png_url(explanation_figure(explained, score, method), _FIGURE_DPI),
            f"Spectrum of {row['key']} over its baseline with the attribution and its places.",
            "",
        ),
    )
