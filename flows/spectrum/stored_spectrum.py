"""A stored explanation of one spectrum; nothing but the store is read."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from engine.figures.spectrum_score import SpectrumScore
from engine.spectra.observation import OBSERVATION_COLUMNS, Observation
from engine.store.entries import RUN_SET
from engine.store.reading import StoreView
from engine.surveys.identifiers import shown_identifiers
from flows.spectrum.explained_spectrum import ExplainedSpectrum
from models.errors import ErrorKind, InputError
from models.row_status import RowStatus
from models.secrets import redacted_url

_COLUMNS = (
    "key",
    "target_id",
    "spectype",
    "model",
    "score",
    "tail_probability",
    "tail_uncertainty",
    "normalisation",
    "source",
    "source_row",
    *OBSERVATION_COLUMNS,
)


@dataclass(frozen=True, eq=False)
class StoredSpectra:
    """The spectra of a store, found by their names; what says which is which is read once."""

    view: StoreView

    def explanation(self, key: str) -> ExplainedSpectrum:
        """The latest explanation of a spectrum.

        Parameters
        ----------
        key : the spectrum's key, or a TARGETID (SPECOBJID) that one spectrum has.

        Raises
        ------
        InputError : there is no such spectrum, several, or it is not explained.
        """
        rows = self.rows(key)
        number = self.outlier(rows)
        if number is None:
            raise _not_explained(self.view, rows.iloc[0].to_dict())
        explanation = self.view.outlier(number)
        # Of a target that its file repeats one row alone is scored and explained.
        row = rows.loc[explanation.row].to_dict()
        model = self.view.configuration.models[row["model"]]
        return ExplainedSpectrum(
            explanation,
            SpectrumScore(row["spectype"], row["score"], row["tail_probability"], row["tail_uncertainty"]),
            model.name,
            model.digest,
            self.view.configuration.attribution.method,
            redacted_url(row["source"]),
            int((self._current["status"] == RowStatus.SCORED).sum()),
            Observation.of(row),
            normalisation=row["normalisation"],
        )

    def rows(self, key: str) -> pd.DataFrame:
        """The current rows of one spectrum, by its key or by a TARGETID (SPECOBJID) that it alone has.

        Raises
        ------
        InputError : there is no such spectrum, or several.
        """
        table = self._current
        found = table[(table["key"] == key) | (self._identifiers == key)]
        if found["key"].nunique() != 1:
            raise _not_one(self.view, key, list(found["key"]))
        return found

    def outlier(self, rows: pd.DataFrame) -> int | None:
        """Number of the latest explanation of any of these rows; None where there is none."""
        explained = self._explained[self._explained.index.isin(rows.index)]
        return None if explained.empty else int(explained.max())

    @cached_property
    def _current(self) -> pd.DataFrame:
        table = self.view.table([*_COLUMNS, "status", "superseded"])
        return table[~table["superseded"]]

    @cached_property
    def _identifiers(self) -> pd.Series[str]:
        table = self._current
        shown = shown_identifiers(self.view.configuration.grid, table["target_id"].to_numpy(np.int64))
        return pd.Series(shown, table.index).astype(str)

    @cached_property
    def _explained(self) -> pd.Series[int]:
        """Outlier numbers by row."""
        return self.view.latest_explanations()["outlier"]


def _not_one(view: StoreView, key: str, found: list[str]) -> InputError:
    return InputError(
        "The store has several spectra of that number." if found else "The store has no such spectrum.",
        where=view.url,
        got=key,
        allowed=", ".join(found) or "the key of a spectrum, or its TARGETID (SPECOBJID)",
        remedy="Give one of these keys." if found else f"'whyspec query {view.url}' shows the keys.",
        kind=ErrorKind.NO_SUCH_SPECTRUM,
    )


def _not_explained(view: StoreView, row: dict[Hashable, Any]) -> InputError:
    status, name = RowStatus(row["status"]), view.explanation
    again = (
        "" if name == RUN_SET else f"'whyspec attribute {view.url} --name {name}', if it is an outlier, or "
    )
    scored = f"score {row['score']:.2f}, tail probability {row['tail_probability']:.2g}"
    return InputError(
        "The store holds no explanation of this spectrum: it is no outlier, or the run has not come to it.",
        where=f"{view.url}, {row['key']}",
        got=scored if status is RowStatus.SCORED else status.meaning,
        allowed="an explained outlier",
        remedy=f"Explain it with {again}"
        f"'whyspec explain {redacted_url(row['source'])} --row {row['source_row']}'.",
        kind=ErrorKind.NO_OUTLIER,
    )
