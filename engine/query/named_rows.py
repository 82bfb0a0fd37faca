"""Named rows: what the rows of a user's table name, by identifier, spectrum key or a survey's joint name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.files.tables.table import Column, Table
from engine.spectra.rows import ROW_DTYPE
from engine.surveys.identifiers import UNKNOWN
from engine.surveys.row_names import (
    IDENTIFIER,
    KEY,
    Name,
    NamedBy,
    columns_of,
    identifier_names,
    joint_names,
    usual_names,
)

_NUMBER = "([0-9]{1,9})"


@dataclass(frozen=True, eq=False)
class NamedRows:
    """The names that n rows of a table give.

    Attributes
    ----------
    named_by : what the names are; columns : what they were read from.
    values : (n,) int64 or uint64 identifiers as the table has them; (n,) keys; or (n, k) int64 of joint
        names.
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
        return self.values.view(np.int64) if self.named_by == IDENTIFIER else self.values

    def texts(self) -> list[str]:
        """What the table has, row by row."""
        parts = zip(*(column.texts() for column in self.columns), strict=True)
        return ["-".join(texts) for texts in parts]


def names_of(values: NDArray[Any]) -> list[Name]:
    """Values of :class:`NamedRows` as names: a joint name is a tuple."""
    return list(map(tuple, values.tolist())) if values.ndim == 2 else values.tolist()


def by_column(named_by: NamedBy, values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Values of :class:`NamedRows` by the column of a store's rows that holds them."""
    columns = columns_of(named_by)
    return dict(zip(columns, values.reshape(-1, len(columns)).T, strict=True))


def named_rows(table: Table, column: str | None = None) -> NamedRows | None:
    """What the rows of a table name; None if it has no such column.

    Parameters
    ----------
    column : the column to take, whatever its case; None for the first of the usual names.

    Raises
    ------
    InputError : a column of identifiers has lost digits.
    """
    for name in usual_names() if column is None else (column.lower(),):
        if name in table.columns:
            return _of_column(table.columns[name])
    return _of_joint_columns(table) if column is None else None


def _of_column(column: Column) -> NamedRows:
    if column.values.dtype.kind != "O":
        return _of_integers(column)
    texts = column.texts()
    first = next((text for text in texts if text), "")
    for named_by in joint_names():
        if _pattern(named_by).fullmatch(first):
            return _of_joint_texts(named_by, column, texts)
    if first.isdecimal() or (column.name.lower() in identifier_names() and "/" not in first):
        return _of_integers(column)
    known = np.array([bool(text) for text in texts], dtype=np.bool_)
    return NamedRows(KEY, (column,), np.array(texts, dtype=np.object_), known)


def _of_integers(column: Column) -> NamedRows:
    numbers, known = column.integers()
    known = (
        known & (numbers.view(np.int64) != UNKNOWN) & (numbers != 0 if numbers.dtype.kind == "u" else True)
    )
    return NamedRows(IDENTIFIER, (column,), numbers, known)


def _pattern(named_by: NamedBy) -> re.Pattern[str]:
    return re.compile("-".join(_NUMBER for _ in columns_of(named_by)), re.ASCII)


def _of_joint_texts(named_by: NamedBy, column: Column, texts: list[str]) -> NamedRows:
    size = len(columns_of(named_by))
    matches = [_pattern(named_by).fullmatch(text) for text in texts]
    known = np.array([match is not None for match in matches], dtype=np.bool_)
    parts = [[int(part) for part in match.groups()] if match else [0] * size for match in matches]
    return NamedRows(named_by, (column,), np.array(parts, dtype=np.int64).reshape(-1, size), known)


def _of_joint_columns(table: Table) -> NamedRows | None:
    for named_by, usual in joint_names().items():
        each = [next(filter(table.columns.__contains__, names), None) for names in usual.values()]
        columns = tuple(table.columns[name] for name in each if name is not None)
        if len(columns) == len(usual):
            return _of_numbers(named_by, columns)
    return None


def _of_numbers(named_by: NamedBy, columns: tuple[Column, ...]) -> NamedRows:
    each = [column.integers() for column in columns]
    largest = [np.iinfo(ROW_DTYPE[name]).max for name in columns_of(named_by)]
    values = np.stack([numbers.astype(np.int64) for numbers, _ in each], axis=1)
    known = np.logical_and.reduce([known for _, known in each])
    return NamedRows(named_by, columns, values, known & ((values >= 0) & (values <= largest)).all(axis=1))
