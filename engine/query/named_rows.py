"""Named rows: what the rows of a user's table name, by identifier, spectrum key or plate, MJD and fibre."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.files.tables.table import Column, Table
from engine.surveys.identifiers import UNKNOWN

NamedBy = Literal["target_id", "key", "plate-mjd-fiber"]

_OF_TARGETS = ("targetid", "target_id", "specobjid", "spec_obj_id", "catalogid", "identifier")
_OF_KEYS = ("key", "spectrum_key", "plate-mjd-fiber", "plate_mjd_fiber")
_OF_FIBRES = (("plate", "field"), ("mjd",), ("fiber", "fiberid"))
USUAL_NAMES = (*_OF_TARGETS, *_OF_KEYS)
"""Names of columns that are looked for, in this order; then plate, mjd and fiber."""

EVERY_USUAL_NAME = (*USUAL_NAMES, *(name for group in _OF_FIBRES for name in group))

_FIBRE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})-([0-9]{1,9})", re.ASCII)


@dataclass(frozen=True, eq=False)
class NamedRows:
    """The names that n rows of a table give.

    Attributes
    ----------
    named_by : what the names are; columns : what they were read from.
    values : (n,) int64 or uint64 identifiers as the table has them; (n,) keys; or (n, 3) int64 of plate (or
        field), MJD, fibre.
    known : (n,) false where a row names nothing.
    """

    named_by: NamedBy
    columns: tuple[Column, ...]
    values: NDArray[Any]
    known: NDArray[np.bool_]

    @property
    def column(self) -> str:
        """Names of the columns."""
        return ", ".join(column.name for column in self.columns)

    @property
    def stored(self) -> NDArray[Any]:
        """The values, identifiers as the rows of a store hold them (:mod:`engine.surveys.identifiers`)."""
        return self.values.view(np.int64) if self.named_by == "target_id" else self.values

    def texts(self) -> list[str]:
        """What the table has, row by row."""
        parts = zip(*(column.texts() for column in self.columns), strict=True)
        return ["-".join(texts) for texts in parts]


def named_rows(table: Table, column: str | None = None) -> NamedRows | None:
    """What the rows of a table name; None if it has no such column.

    Parameters
    ----------
    column : the column to take, whatever its case; None for the first of the usual names.

    Raises
    ------
    InputError : a column of identifiers has lost digits.
    """
    for name in USUAL_NAMES if column is None else (column.lower(),):
        if name in table.columns:
            return _of_column(table.columns[name])
    of_fibres = [
        next((table.columns[name] for name in group if name in table.columns), None) for group in _OF_FIBRES
    ]
    fibres = [each for each in of_fibres if each is not None]
    return _of_fibres(tuple(fibres)) if column is None and len(fibres) == len(_OF_FIBRES) else None


def _of_column(column: Column) -> NamedRows:
    if column.values.dtype.kind != "O":
        return _of_integers(column)
    texts = column.texts()
    first = next((text for text in texts if text), "")
    if _FIBRE.fullmatch(first):
        return _of_fibre_texts(column, texts)
    if first.isdecimal() or (column.name.lower() in _OF_TARGETS and "/" not in first):
        return _of_integers(column)
    known = np.array([bool(text) for text in texts], dtype=np.bool_)
    return NamedRows("key", (column,), np.array(texts, dtype=np.object_), known)


def _of_integers(column: Column) -> NamedRows:
    numbers, known = column.integers()
    known = (
        known & (numbers.view(np.int64) != UNKNOWN) & (numbers != 0 if numbers.dtype.kind == "u" else True)
    )
    return NamedRows("target_id", (column,), numbers, known)


def _of_fibre_texts(column: Column, texts: list[str]) -> NamedRows:
    matches = [_FIBRE.fullmatch(text) for text in texts]
    known = np.array([match is not None for match in matches], dtype=np.bool_)
    parts = [[int(part) for part in match.groups()] if match else [0, 0, 0] for match in matches]
    return NamedRows("plate-mjd-fiber", (column,), np.array(parts, dtype=np.int64).reshape(-1, 3), known)


def _of_fibres(columns: tuple[Column, ...]) -> NamedRows:
    each = [column.integers() for column in columns]
    known = np.logical_and.reduce([known & (numbers >= 0) for numbers, known in each])
    fibres = np.stack([numbers.astype(np.int64) for numbers, _ in each], axis=1)
    return NamedRows("plate-mjd-fiber", columns, fibres, known)
