"""A stored explanation of one spectrum; nothing but the store is read."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from engine.figures.spectrum_score import SpectrumScore
from engine.spectra.observation import OBSERVATION_COLUMNS, Observation
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
    "source",
    "source_row",
    *OBSERVATION_COLUMNS,
)


def stored_spectrum(url: str, key: str) -> ExplainedSpectrum:
    """The latest explanation of a spectrum in the store at ``url``.

    Parameters
    ----------
    key : the spectrum's key, or a TARGETID (SPECOBJID) that one spectrum has.

    Raises
    ------
    InputError : there is no store, no such spectrum in it, several, or it is not explained.
    StoreError : the store is damaged.
    """
    view = StoreView.open(url)
    table = view.table([*_COLUMNS, "status", "superseded"])
    shown = shown_identifiers(view.configuration.grid, table["target_id"].to_numpy(np.int64))
    numbers = pd.Series(shown, table.index)
    table = table[~table["superseded"]]
    scored = int((table["status"] == RowStatus.SCORED).sum())
    numbers = numbers[table.index]
    table = table[((table["key"] == key) | (numbers.astype(str) == key))]
    if table["key"].nunique() != 1:
        raise _not_one(view, key, list(table["key"]))
    outliers = view.outliers_table(())
    explained = outliers[outliers["row"].isin(table.index)]
    if explained.empty:
        raise _not_explained(view, table.iloc[0].to_dict())
    # Of a target that its file repeats one row alone is scored and explained.
    row = table.loc[int(explained["row"].iloc[-1])].to_dict()
    model = view.configuration.models[row["model"]]
    return ExplainedSpectrum(
        view.outlier(int(explained.index[-1])),
        SpectrumScore(row["spectype"], row["score"], row["tail_probability"], row["tail_uncertainty"]),
        model.name,
        model.digest,
        redacted_url(row["source"]),
        scored,
        Observation.of(row),
    )


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
    status = RowStatus(row["status"])
    scored = f"score {row['score']:.2f}, tail probability {row['tail_probability']:.2g}"
    return InputError(
        "The store holds no explanation of this spectrum: it is no outlier, or the run has not come to it.",
        where=f"{view.url}, {row['key']}",
        got=scored if status is RowStatus.SCORED else status.meaning,
        allowed="an explained outlier",
        remedy=f"Explain it with 'whyspec explain {redacted_url(row['source'])} --row {row['source_row']}'.",
        kind=ErrorKind.NO_OUTLIER,
    )
