"""The clusters of a store's outliers, in the terminal."""

from __future__ import annotations

import math

from rich.console import Console
from rich.table import Table

from engine.clustering.clustering import Peak
from engine.clustering.pipeline import ClusteringSummary
from flows.console import count, show_whole

_PEAKS = 2
# Hennig (2007, Comput. Stat. Data Anal. 52, 258): clusters below are not to be trusted.
_STABLE = 0.6


def show_clusters(console: Console, summary: ClusteringSummary) -> None:
    """Print the clusters, one line each, with their two highest peaks; fits 80 columns."""
    table = Table(
        title="Clusters of explanations",
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    for name in ("cluster", "outliers", "stability", "highest peaks (rest frame)"):
        table.add_column(name, justify="right" if name in ("cluster", "outliers") else "left", no_wrap=True)
    for cluster in summary.clusters:
        unstable = cluster.jaccard < _STABLE
        table.add_row(
            str(cluster.label),
            f"{cluster.size:,}",
            _stability(cluster.jaccard),
            ", ".join(_peak(peak) for peak in cluster.peaks[:_PEAKS]),
            style="yellow" if unstable else None,
        )
    if summary.clusters:
        show_whole(console, table)
    console.print(f"{count(summary.clustered, 'outlier')} of {summary.explanations:,} clustered.")
    for message in summary.messages:
        console.print(message, style="yellow")


def _stability(jaccard: float) -> str:
    if math.isnan(jaccard):
        return ""
    return f"{jaccard:.2f} unstable" if jaccard < _STABLE else f"{jaccard:.2f}"


def _peak(peak: Peak) -> str:
    return f"{peak.line or f'{peak.wavelength:.0f} Å'} {peak.flux}"
