"""Partitions of the sky hold each row once, and no more rows than they may."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.export.sky_partitions import INDEX_ORDER, SkyPartition, neighbours_together, sky_partitions

_ALL = 12 << 2 * INDEX_ORDER
_CELLS = st.lists(st.one_of(st.integers(0, _ALL - 1), st.integers(0, 1 << 20)), min_size=1, max_size=200)


@given(_CELLS, st.integers(1, 20))
def test_every_row_is_in_one_partition_and_none_is_split_without_need(cells: list[int], most: int) -> None:
    rows = np.sort(np.array(cells, np.int64))
    partitions = sky_partitions(rows, most)
    assert [each.start for each in partitions] == sorted(each.start for each in partitions)
    assert all(first.stop <= second.start for first, second in pairwise(partitions))
    held = [int(((rows >= each.start) & (rows < each.stop)).sum()) for each in partitions]
    assert held == [each.rows for each in partitions]
    assert sum(held) == len(rows)
    for each in partitions:
        assert 0 < each.rows <= most or each.order == 14
        parent = SkyPartition(each.order - 1, each.pixel // 4, 0)
        assert each.order == 0 or ((rows >= parent.start) & (rows < parent.stop)).sum() > most


@given(_CELLS, st.integers(1, 20), st.integers(1, 50))
def test_neighbours_come_together_in_order(cells: list[int], most: int, together: int) -> None:
    partitions = sky_partitions(np.sort(np.array(cells, np.int64)), most)
    several = list(neighbours_together(partitions, together))
    assert [each for group in several for each in group] == partitions
    assert all(len(group) == 1 or sum(each.rows for each in group) <= together for group in several)


def test_paths_are_those_of_hats() -> None:
    assert SkyPartition(6, 34_567, 1).path == "Norder=6/Dir=30000/Npix=34567.parquet"
