"""A stored explanation of one spectrum; nothing but the store is read."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from engine.figures.spectrum_score import SpectrumScore
from engine.query.query import NOT_IN_STORE, QuerySettings, answer, count
from engine.spectra.observation import OBSERVATION_COLUMNS, Observation
from engine.store.reading import StoreView
from flows.spectrum.explained_spectrum import ExplainedSpectrum
from models.errors import ErrorKind, InputError
from models.row_status import RowStatus

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
    "status",
    "outlier_row",
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
    number = (int(key),) if key.isdecimal() else ()
    found = answer(view, QuerySettings(keys=(key,), target_ids=number, columns=_COLUMNS))
    found = found[found["status"] != NOT_IN_STORE]
    if found["key"].nunique() != 1:
        raise _not_one(view, key, list(found["key"]))
    explained = found[found["outlier_row"].notna()]
    if explained.empty:
        raise _not_explained(view, found.iloc[0].to_dict())
    # Of a target that its file repeats one row alone is scored and explained.
    row = explained.sort_values("outlier_row").iloc[-1].to_dict()
    model = next(each for each in view.configuration.models if each.name == row["model"])
    return ExplainedSpectrum(
        view.outlier(int(row["outlier_row"])),
        SpectrumScore(row["spectype"], row["score"], row["tail_probability"], row["tail_uncertainty"]),
        model.name,
        model.digest,
        row["source"],
        count(view, QuerySettings(status=RowStatus.SCORED.label)),
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
    status = RowStatus[row["status"].upper()]
    scored = f"score {row['score']:.2f}, tail probability {row['tail_probability']:.2g}"
    return InputError(
        "The store holds no explanation of this spectrum: it is no outlier, or the run has not come to it.",
        where=f"{view.url}, {row['key']}",
        got=scored if status is RowStatus.SCORED else status.meaning,
        allowed="an explained outlier",
        remedy=f"Explain it with 'whyspec explain {row['source']} --row {row['source_row']}'.",
        kind=ErrorKind.NO_OUTLIER,
    )
