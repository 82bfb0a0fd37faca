from __future__ import annotations

import io
import math

import pandas as pd
import pytest
from rich.console import Console
from rich.table import Table

from engine.clustering.clustering import ClusterSummary, Peak
from engine.clustering.stored import ClusteringSummary
from flows.console import show_whole
from flows.demo import top_table
from flows.store.cluster_table import show_clusters

TARGETS = (39_626_851_710_142_104, 39_633_559_463_397_282, 39_089_837_533_316_765)


def outliers() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "target_id": TARGETS,
            "redshift": [0.21948, 3.4021, math.nan],
            "score": [1507.5269, 33.52, 120.0],
            "tail_probability": [0.000627, 0.0099, 1.2e-5],
            "peak_wavelength": [7792.0, 9814.4, math.nan],
            "line": ["[Ne III] 3870", "", ""],
            "peak_window": pd.array([16, 256, None], dtype="Int64"),
            "cluster": pd.array([1, None, 12], dtype="Int64"),
        }
    )


def printed(table: Table, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    show_whole(console, table)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_nothing_in_the_table_of_outliers_is_shortened(width: int) -> None:
    lines = printed(top_table(outliers()), width)
    assert max(map(len, lines)) <= 80
    assert not any("…" in line for line in lines)
    assert " ".join(lines[1].split()) == "peak scale"
    assert " ".join(lines[2].split()) == "target z score tail [Å] line [px] cluster"
    first, second, third = lines[-3:]
    assert first.split() == [
        str(TARGETS[0]), "0.2195", "1507.5", "0.00063", "7792", "[Ne", "III]", "3870", "16", "1",
    ]  # fmt: skip
    assert second.split() == [str(TARGETS[1]), "3.4021", "33.5", "0.0099", "9814", "256"]
    assert third.split() == [str(TARGETS[2]), "120.0", "1.2e-05", "12"]


def summary(*clusters: ClusterSummary) -> ClusteringSummary:
    return ClusteringSummary(
        name="default",
        explanations=60,
        clustered=sum(cluster.size for cluster in clusters),
        clusters=clusters,
        example_keys=tuple((f"iron/main/dark/{TARGETS[0]}",) for _ in clusters),
        silhouettes=(),
        adjusted_rand=0.5,
        messages=("Not stable under resampling: cluster 1.",),
    )


def test_a_cluster_is_one_line_of_80_columns_and_unstable_ones_are_marked() -> None:
    long = (
        Peak(3869.9, 1.0, "[Ne III] 3870", "deficit"),
        Peak(7138.0, 0.9, "[Ar III] 7138", "deficit"),
        Peak(5000.0, 0.8, "", "excess"),
    )
    unnamed = (Peak(2881.2, 1.0, "", "deficit"),)
    console = Console(file=io.StringIO(), width=80)
    show_clusters(
        console,
        summary(
            ClusterSummary(0, 1700, 0.62, long, (1,)),
            ClusterSummary(1, 11, 0.45, long, (2,)),
            ClusterSummary(2, 3, math.nan, unnamed, (3,)),
        ),
    )
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= 80
    table = [" ".join(line.split()) for line in lines[2:5]]
    assert table == [
        "0 1,700 0.62 [Ne III] 3870 deficit, [Ar III] 7138 deficit",
        "1 11 0.45 unstable [Ne III] 3870 deficit, [Ar III] 7138 deficit",
        "2 3 2881 Å deficit",
    ]
    assert "1,714 outliers of 60 clustered." in lines
