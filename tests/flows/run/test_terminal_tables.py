"""Tables of a run in the terminal."""

from __future__ import annotations

import io
import math

from rich.console import Console

from engine.clustering.clustering import ClusterSummary
from engine.clustering.stored import ClusteringSummary
from flows.store.cluster_table import show_clusters

TARGET = 39_626_851_710_142_104


def summary(*clusters: ClusterSummary) -> ClusteringSummary:
    return ClusteringSummary(
        name="default",
        explanations=60,
        clustered=sum(cluster.size for cluster in clusters),
        clusters=clusters,
        example_keys=tuple((f"iron/main/dark/{TARGET}",) for _ in clusters),
        silhouettes=(),
        adjusted_rand=0.5,
        messages=("Not stable under resampling: cluster 1.",),
    )


def test_a_cluster_is_one_line_of_80_columns_and_unstable_ones_are_marked() -> None:
    long, unnamed = "broad lines near [Ne III] 3870, rest 3,870 Å", "unknown cause, no place in common"
    console = Console(file=io.StringIO(), width=80)
    show_clusters(
        console,
        summary(
            ClusterSummary(0, 1700, 0.62, (), (1,), f"{long}; 1,500 of 1,700"),
            ClusterSummary(1, 11, 0.45, (), (2,), f"{long}; 9 of 11"),
            ClusterSummary(2, 3, math.nan, (), (3,), f"{unnamed}; 2 of 3"),
        ),
    )
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= 80
    table = [" ".join(line.split()) for line in lines[2:5]]
    assert table == [
        f"0 1,700 0.62 {long}",
        f"1 11 0.45 unstable {long}",
        f"2 3 {unnamed}",
    ]
    assert "1,714 outliers of 60 clustered." in lines
