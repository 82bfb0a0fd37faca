"""Match of a store with a table of known objects: its summary, the matched spectra, the new outliers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from engine.catalogue.reading import Catalogue
from engine.match.matched_spectra import MatchedSpectra, matched_spectra
from engine.match.objects import POSITION, KnownObjects, known_objects, read_table
from engine.match.pairs import pairs_of
from engine.match.selected_spectra import SelectedSpectra
from engine.match.settings import MatchSettings
from engine.match.summary import MatchSummary, summarised
from engine.query.query import COLUMNS, answer
from engine.query.query_columns import ROW
from engine.query.settings import QuerySettings
from engine.query.target_list import TargetList
from engine.store.reading import StoreView
from engine.surveys.row_names import IDENTIFIER

OF_SPECTRA = (
    "key",
    "target_id",
    "redshift",
    "spectype",
    "score",
    "tail_probability",
    "explained",
    "cause",
    "instrument_probability",
    "ra",
    "dec",
    "status",
)
"""Columns of matched spectra that a query answers, beside those of the match itself."""


@dataclass(frozen=True, eq=False)
class Match:
    """A store's spectra and the objects that they are of.

    Attributes
    ----------
    view : the store; settings : what was asked; known : the objects; found : the spectra that have one.
    """

    view: StoreView
    settings: MatchSettings
    known: KnownObjects
    found: MatchedSpectra

    @property
    def summary(self) -> MatchSummary:
        """The match in numbers."""
        return summarised(self.known, self.found, self.settings.top, self.settings.radius)

    def matched(self) -> pd.DataFrame:
        """A row for each spectrum that has an object, oddest first; those that are not scored come last.

        Columns are :data:`OF_SPECTRA`, ``rank`` (place among all scored spectra that were looked at, 1 is the
        oddest), ``table_class`` and ``table_id`` (as the table has them), ``table_row`` (counted from 0), and
        of a match by position ``separation`` (arcsec).

        Raises
        ------
        StoreError : the store is damaged.
        """
        found, pairs, known = self.found, self.found.pairs, self.known
        answered = answer(self.view, self._of_matched())
        answered = answered[answered[ROW].isin(pairs.rows)]
        chosen = np.searchsorted(pairs.rows, answered[ROW].to_numpy())
        chosen_rank, objects = found.rank[chosen], pairs.objects[chosen]
        classes = np.array(known.classes, dtype=np.object_)[known.codes[objects]]
        of_match: dict[str, Any] = {
            "rank": pd.arrays.IntegerArray(chosen_rank.astype(np.int32), chosen_rank == 0),
            "table_class": pd.array(classes, dtype="str"),
            "table_id": pd.array(known.labels[objects], dtype="str"),
            "table_row": known.places[objects],
        }
        if known.matched_by == POSITION:
            of_match["separation"] = pairs.separation[chosen]
        frame = answered.assign(**of_match).sort_values(["rank", ROW], na_position="last")
        return frame[["key", *of_match, *OF_SPECTRA[1:]]].reset_index(drop=True)

    def _of_matched(self) -> QuerySettings:
        ids, columns = np.unique(self.found.stored_id), (*OF_SPECTRA, ROW)
        if not len(ids):
            return QuerySettings(where="gone and not gone", columns=columns)  # no spectrum fulfils it
        targets = TargetList(self.known.path, "", IDENTIFIER, ids, rows=len(ids), skipped=0, examples=())
        return QuerySettings(targets=targets, columns=columns)

    def new(self) -> pd.DataFrame:
        """Outliers without an object, oddest first, with the columns of a query.

        Of the oddest ``top`` alone, where it was given.

        Raises
        ------
        StoreError : the store is damaged.
        """
        settings = replace(self.settings.selection, columns=(*COLUMNS, ROW))
        outliers = answer(self.view, settings)
        unknown = ~outliers[ROW].isin(self.found.pairs.rows)
        return outliers[unknown].drop(columns=[ROW]).reset_index(drop=True)


def match(view: StoreView, table: object, settings: MatchSettings) -> Match:
    """Match a store with a table of known objects.

    Parameters
    ----------
    table : path of a FITS, Parquet, VOTable, ECSV or CSV file; or a pandas or astropy table.

    Raises
    ------
    InputError : the table cannot be matched, or the store has no positions.
    ConfigurationError : the selection looks at what makes spectra odd.
    StoreError : the store is damaged.
    """
    known = known_objects(read_table(table, settings), settings)
    with Catalogue.of(view).tables() as tables:
        spectra = SelectedSpectra(tables, view.configuration, settings.selection)
        pairs = pairs_of(tables, spectra, known, settings.radius)
        return Match(view, settings, known, matched_spectra(tables, spectra, pairs))
