"""Matched spectra: pairs with what the store says of the oddness of their spectra, and its totals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.catalogue.reading import CatalogueTables
from engine.match.pairs import Pairs
from engine.match.selected_spectra import SelectedSpectra
from engine.query.query_columns import ROW

_OF_ODDNESS = ("tail_probability", "score", "status", "outlier", "stored_id")
_ODDEST_FIRST = f"tail_probability ASC NULLS LAST, score DESC NULLS LAST, {ROW}"
"""As queries order."""


@dataclass(frozen=True, eq=False)
class MatchedSpectra:
    """The m pairs, and all of the selected spectra in numbers.

    Attributes
    ----------
    pairs : see :class:`engine.match.pairs.Pairs`.
    scored, outlier : (m,) whether the spectrum is.
    rank : (m,) its place among all selected spectra that are scored, 1 is the oddest; 0 where not scored.
    stored_id : (m,) its TARGETID, as rows hold it.
    spectra, all_scored, outliers : numbers of selected spectra.
    """

    pairs: Pairs
    scored: NDArray[np.bool_]
    outlier: NDArray[np.bool_]
    rank: NDArray[np.int64]
    stored_id: NDArray[np.int64]
    spectra: int
    all_scored: int
    outliers: int


def matched_spectra(tables: CatalogueTables, spectra: SelectedSpectra, pairs: Pairs) -> MatchedSpectra:
    """What the store says of the spectra of pairs.

    Raises
    ------
    StoreError : the store is damaged.
    """
    chosen = f"({spectra.select(_OF_ODDNESS)})"
    there = tables.register(pa.table({ROW: pairs.rows}))
    parameters = spectra.condition.parameters
    found = tables.fetch(
        f"WITH chosen AS {chosen}, ranked AS "
        f"(SELECT {ROW}, row_number() OVER (ORDER BY {_ODDEST_FIRST}) AS rank FROM chosen "
        f"WHERE status = 'scored') "
        f"SELECT status = 'scored' AS scored, outlier, stored_id, coalesce(rank, 0) AS rank FROM chosen "
        f"LEFT JOIN ranked USING ({ROW}) WHERE {ROW} IN (SELECT {ROW} FROM {there}) ORDER BY {ROW}",
        parameters,
    )
    totals = tables.fetch(
        f"SELECT count(*), count(*) FILTER (status = 'scored'), count(*) FILTER (outlier) FROM {chosen}",
        parameters,
    )
    counts = [int(column[0].as_py()) for column in totals.columns]
    values = [found[name].to_numpy() for name in ("scored", "outlier", "rank", "stored_id")]
    return MatchedSpectra(pairs, values[0], values[1], values[2], values[3], *counts)
