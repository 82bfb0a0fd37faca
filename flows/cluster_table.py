"""The clusters of a store's outliers, in the terminal."""

from __future__ import annotations

import math

from rich.console import Console
from rich.table import Table

from engine.clustering.pipeline import ClusteringSummary
from flows.console import count

_PEAKS = 3


def show_clusters(console: Console, summary: ClusteringSummary) -> None:
    """Print the clusters with the lines at which they peak."""
    table = Table(
        title="Clusters of explanations",
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
    )
    table.add_column("cluster", justify="right")
    table.add_column("outliers", justify="right")
    table.add_column("stability", justify="right")
    table.add_column("peaks at (rest)")
    table.add_column("most typical", no_wrap=True)
    for cluster, keys in zip(summary.clusters, summary.example_keys, strict=True):
        peaks = [
            f"{peak.line or f'{peak.wavelength:.0f} Å'} ({peak.flux})" for peak in cluster.peaks[:_PEAKS]
        ]
        stability = "" if math.isnan(cluster.jaccard) else f"{cluster.jaccard:.2f}"
        typical = keys[0] if keys else ""
        table.add_row(str(cluster.label), f"{cluster.size:,}", stability, ", ".join(peaks), typical)
    if summary.clusters:
        console.print(table)
    console.print(f"{count(summary.clustered, 'outlier')} of {summary.explanations:,} clustered.")
    for message in summary.messages:
        console.print(message, style="yellow")
