"""The clusters of a store's outliers, in the terminal."""

from __future__ import annotations

import math

from rich.console import Console
from rich.table import Table

from engine.clustering.clustering import ClusterSummary
from engine.clustering.pipeline import ClusteringSummary
from flows.console import count, show_whole


def show_clusters(console: Console, summary: ClusteringSummary) -> None:
    """Print the clusters, one line each, with their titles; fits 80 columns."""
    table = Table(
        title="Clusters of explanations",
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    for name in ("cluster", "outliers", "stability", "commonest cause and place"):
        table.add_column(name, justify="right" if name in ("cluster", "outliers") else "left", no_wrap=True)
    for cluster in summary.clusters:
        table.add_row(
            str(cluster.label),
            f"{cluster.size:,}",
            _stability(cluster),
            cluster.title.partition(";")[0],
            style=None if cluster.stable else "yellow",
        )
    if summary.clusters:
        show_whole(console, table)
    console.print(f"{count(summary.clustered, 'outlier')} of {summary.explanations:,} clustered.")
    for message in summary.messages:
        console.print(message, style="yellow")


def _stability(cluster: ClusterSummary) -> str:
    if math.isnan(cluster.jaccard):
        return ""
    return f"{cluster.jaccard:.2f}" if cluster.stable else f"{cluster.jaccard:.2f} unstable"
