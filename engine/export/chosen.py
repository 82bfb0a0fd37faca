"""Chosen spectra: a few columns of all that a selection finds, from which an export is planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from engine.export.exported import LeftOut
from engine.query.query import NOT_IN_STORE, answer
from engine.query.settings import QuerySettings
from engine.store.reading import StoreView
from models.errors import ErrorKind, InputError


@dataclass(frozen=True, eq=False)
class Chosen:
    """What a selection finds.

    Attributes
    ----------
    frame : columns of the spectra, in the selection's order.
    absent : how many spectra were asked for by name that the store lacks.
    """

    frame: pd.DataFrame
    absent: int

    def left_out(self, *others: LeftOut) -> tuple[LeftOut, ...]:
        """What an export leaves out, those that the store lacks among them."""
        every = (LeftOut(self.absent, "not in the store"), *others)
        return tuple(each for each in every if each.spectra)


def chosen(view: StoreView, settings: QuerySettings, names: Sequence[str]) -> Chosen:
    """The spectra that a selection finds, with these columns at least.

    Raises
    ------
    InputError : there is none.
    """
    wanted = replace(
        settings, columns=tuple(dict.fromkeys((*names, "status") if settings.by_identity else names))
    )
    frame, absent = answer(view, wanted), 0
    if settings.by_identity:
        there = frame["status"] != NOT_IN_STORE
        frame, absent = frame[there].reset_index(drop=True), int((~there).sum())
    if frame.empty:
        raise nothing_chosen(view, f"no spectrum; {absent} asked for by name are not in the store")
    return Chosen(frame, absent)


def nothing_chosen(view: StoreView, got: str) -> InputError:
    """The error of a selection of which nothing can be written."""
    return InputError(
        "Nothing of the selection can be exported.",
        where=view.url,
        got=got,
        allowed="at least one spectrum",
        remedy="Look what 'whyspec query' finds with the same options; --status any looks at all spectra.",
        kind=ErrorKind.NOTHING_TO_EXPORT,
    )
