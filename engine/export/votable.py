"""VOTable of any length, written part by part by the writer of ``whyspec query --format votable``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pandas as pd

from engine.export.chosen import chosen
from engine.export.exported import Exported, Progress
from engine.query.astropy_table import votable_parts
from engine.query.conditions.condition import Condition
from engine.query.query import answer_in_parts
from engine.query.query_columns import ROW
from engine.query.settings import QuerySettings
from engine.store.reading import StoreView
from models.output_files import check_new_output, output_file

PART_ROWS = 10_000
"""Rows in memory at once."""


def write_votable(
    view: StoreView,
    settings: QuerySettings,
    path: Path,
    progress: Progress = lambda *_: None,
    part_rows: int = PART_ROWS,
) -> Exported:
    """Write what a selection finds as a new VOTable, ordered by the store's rows.

    Columns, types and units are those of ``whyspec query --format votable``.

    Raises
    ------
    InputError : nothing is chosen, or the file exists or cannot be written.
    StoreError : the store is damaged.
    """
    found = chosen(view, settings, (ROW,))
    rows = found.frame[ROW].sort_values()
    starts = [*rows.iloc[::part_rows].tolist(), int(rows.iloc[-1]) + 1]
    check_new_output(path)
    with output_file(path) as partial, partial.open("wb") as stream:
        for number, piece in enumerate(votable_parts(_frames(view, settings, starts)), 1):
            stream.write(piece)
            progress(min(number * part_rows, len(rows)), len(rows))
    return Exported(str(path), "VOTable", len(rows), left_out=found.left_out())


def _frames(view: StoreView, settings: QuerySettings, starts: list[int]) -> Iterator[pd.DataFrame]:
    conditions = (
        Condition(f"{ROW} >= ? AND {ROW} < ?", bounds, frozenset({ROW})) for bounds in pairwise(starts)
    )
    yield from answer_in_parts(view, settings, conditions)
