"""A stored explanation of one spectrum; nothing but the store is read."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from engine.figures.spectrum_score import SpectrumScore
from engine.query.query import NOT_IN_STORE, QuerySettings, answer, count
from engine.spectra.observation import OBSERVATION_COLUMNS, Observation
from engine.store.entries import RUN_SET
from engine.store.reading import StoreView
from engine.surveys.identifiers import stored_identifier
from flows.spectrum.explained_spectrum import ExplainedSpectrum
from models.errors import ConfigurationError, ErrorKind, InputError
from models.row_status import RowStatus

_COLUMNS = (
    "row",
    "outlier_row",
    "status",
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

_NUMBER = re.compile(r"-?[0-9]{1,20}", re.ASCII)


@dataclass(frozen=True, eq=False)
class StoredSpectra:
    """The spectra of a store, found by their names as a query finds them."""

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
        return self.explained(self.rows(key))

    def explained(self, rows: pd.DataFrame) -> ExplainedSpectrum:
        """The latest explanation of the spectrum that has these rows.

        Raises
        ------
        InputError : it is not explained.
        """
        number = self.outlier(rows)
        if number is None:
            raise _not_explained(self.view, rows.iloc[0].to_dict())
        explanation = self.view.outlier(number)
        # Of a target that its file repeats one row alone is scored and explained.
        row = rows.loc[explanation.row].to_dict()
        (model, *_) = (each for each in self.view.configuration.models if each.name == row["model"])
        return ExplainedSpectrum(
            explanation,
            SpectrumScore(row["spectype"], row["score"], row["tail_probability"], row["tail_uncertainty"]),
            model.name,
            model.digest,
            self.view.configuration.attribution.method,
            row["source"],
            self._scored,
            Observation.of(row),
            normalisation=row["normalisation"],
        )

    def rows(self, key: str) -> pd.DataFrame:
        """The current rows of one spectrum, by its key or by a TARGETID (SPECOBJID) that it alone has.

        Raises
        ------
        InputError : there is no such spectrum, or several.
        """
        asked = QuerySettings(keys=(key,), target_ids=self._identifiers(key), columns=_COLUMNS)
        found = answer(self.view, asked)
        found = found[found["status"] != NOT_IN_STORE].set_index("row").sort_index()
        if found["key"].nunique() != 1:
            raise _not_one(self.view, key, list(found["key"]))
        return found

    def outlier(self, rows: pd.DataFrame) -> int | None:
        """Number of the latest explanation of any of these rows; None where there is none."""
        explained = rows["outlier_row"].dropna()
        return None if explained.empty else int(explained.max())

    def _identifiers(self, text: str) -> tuple[int, ...]:
        """The identifier that a text is, if it is one."""
        if not _NUMBER.fullmatch(text):
            return ()
        with contextlib.suppress(ConfigurationError):  # larger than any
            stored_identifier(self.view.configuration.grid, int(text))
            return (int(text),)
        return ()

    @cached_property
    def _scored(self) -> int:
        """Number of current scored spectra."""
        return count(self.view, QuerySettings(status=RowStatus.SCORED.label))


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
    status, name = RowStatus[row["status"].upper()], view.explanation
    again = (
        "" if name == RUN_SET else f"'whyspec attribute {view.url} --name {name}', if it is an outlier, or "
    )
    scored = f"score {row['score']:.2f}, tail probability {row['tail_probability']:.2g}"
    return InputError(
        "The store holds no explanation of this spectrum: it is no outlier, or the run has not come to it.",
        where=f"{view.url}, {row['key']}",
        got=scored if status is RowStatus.SCORED else status.meaning,
        allowed="an explained outlier",
        remedy=f"Explain it with {again}'whyspec explain {row['source']} --row {row['source_row']}'.",
        kind=ErrorKind.NO_OUTLIER,
    )
