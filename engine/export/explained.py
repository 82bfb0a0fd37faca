"""Explained spectra of a selection, in physical units, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from engine.attribution.explanation import Explanation
from engine.export.chosen import chosen, nothing_chosen
from engine.export.exported import LeftOut
from engine.query.query import COLUMNS
from engine.query.settings import QuerySettings
from engine.store.reading import StoreView

_NEEDED = (
    "outlier_row",
    "normalisation",
    "specprod",
    "survey",
    "program",
    "redshift_err",
    "delta_chi2",
    "subtype",
)

WHAT_IS_KEPT = (
    "Flux and inverse variance are those that were scored, on the grid of the survey, its arms joined, in "
    "single precision. They were stored divided by a median and are multiplied by it: each value is right to "
    "3 parts in 10 million. Masked pixels have no value; the survey's mask bits are not kept."
)
"""Said in every file of spectra."""


@dataclass(frozen=True, eq=False)
class ExplainedSpectrum:
    """One explained spectrum in physical units.

    Attributes
    ----------
    explanation : as the store has it, divided by the normalisation.
    row : columns of the query's answer.
    """

    explanation: Explanation
    row: Mapping[str, Any]

    @property
    def masked(self) -> NDArray[np.bool_]:
        """(N,) pixels without evidence."""
        return np.asarray(~(self.explanation.ivar > 0))

    @property
    def ivar(self) -> NDArray[np.float32]:
        """(N,) inverse variance of :meth:`physical` flux; 0 where masked."""
        return (self.explanation.ivar / np.float64(self.row["normalisation"]) ** 2).astype(np.float32)

    def physical(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Values in units of the normalisation as flux, 1e-17 erg / (s cm2 Angstrom)."""
        return (values * np.float64(self.row["normalisation"])).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ExplainedSelection:
    """The explained spectra of a selection, in its order.

    Attributes
    ----------
    view : the store, with the set of explanations that is asked for.
    frame : the query's answer and a few more columns, a row each; answer : the names of the former.
    left_out : the rest of the selection.
    """

    view: StoreView
    frame: pd.DataFrame
    answer: tuple[str, ...]
    left_out: tuple[LeftOut, ...]

    @classmethod
    def of(cls, view: StoreView, settings: QuerySettings) -> ExplainedSelection:
        """What a selection finds of explained spectra.

        Raises
        ------
        InputError : nothing.
        """
        if settings.explanation:
            view = view.with_explanation(settings.explanation)
        answer = settings.columns or COLUMNS
        found = chosen(view, settings, tuple(dict.fromkeys((*answer, *COLUMNS, *_NEEDED))))
        explained = found.frame["explained"] & found.frame["outlier_row"].notna()
        unexplained = int((~explained).sum())
        if not explained.any():
            raise nothing_chosen(view, f"{unexplained:,} spectra, all of them {_UNEXPLAINED}")
        left_out = found.left_out(LeftOut(unexplained, _UNEXPLAINED))
        return cls(view, found.frame[explained].reset_index(drop=True), answer, left_out)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def answered(self) -> pd.DataFrame:
        """The query's answer."""
        return self.frame[list(self.answer)]

    def __iter__(self) -> Iterator[ExplainedSpectrum]:
        for row in self.frame.to_dict("records"):
            yield ExplainedSpectrum(
                self.view.outlier(int(row["outlier_row"])), {str(k): v for k, v in row.items()}
            )


_UNEXPLAINED = "without an explanation: the store keeps no flux of them"
