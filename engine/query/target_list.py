"""Target list: spectra that a table names, by identifier, spectrum key or a survey's joint name."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.files.tables.table import Table, read_table_columns
from engine.query.conditions.condition import Condition, quoted
from engine.query.named_rows import NamedRows, by_column, named_rows
from engine.surveys.row_names import (
    IDENTIFIER,
    KEY,
    NamedBy,
    every_usual_name,
    joint_names,
    usual_names_for_people,
)
from models.errors import ErrorKind, InputError

_SHOWN = 3


@dataclass(frozen=True, eq=False)
class TargetList:
    """What a table asks for, each once, in the table's order.

    Attributes
    ----------
    path : the table; column : what it was read from.
    named_by : what the values are.
    values : (n,) int64 identifiers as the rows of a store hold them (:mod:`engine.surveys.identifiers`), (n,)
        spectrum keys, or (n, k) int64 of joint names.
    rows : of the table; skipped : those without an identifier; examples : what some of these have instead.
    """

    path: Path
    column: str
    named_by: NamedBy
    values: NDArray[Any]
    rows: int
    skipped: int
    examples: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.values)

    def __str__(self) -> str:
        """What was read, in one sentence or two."""
        rows = f"{self.path}: {self.rows:,} rows, {len(self):,} different values of {self.column}."
        if not self.skipped:
            return rows
        return f"{rows} {self.skipped:,} rows have none, such as {', '.join(map(repr, self.examples))}."

    def condition(self, target_id: str = "target_id") -> Condition:
        """All that the list names; ``target_id`` is the column of identifiers as stores hold them."""
        columns = by_column(self.named_by, self.values)
        lists = {target_id if name == IDENTIFIER else name: each.tolist() for name, each in columns.items()}
        return _among(lists, "VARCHAR" if self.named_by == KEY else "BIGINT")


def _among(lists: dict[str, list[object]], kind: str) -> Condition:
    names = ", ".join(map(quoted, lists))
    values = ", ".join([f"unnest(CAST(? AS {kind}[]))"] * len(lists))
    return Condition(f"({names}) IN (SELECT {values})", tuple(lists.values()), frozenset(lists))


def read_target_list(path: Path, column: str | None = None) -> TargetList:
    """The targets of a table: FITS, Parquet, VOTable, ECSV or CSV; a text file may have one in each line.

    Parameters
    ----------
    column : the column to take, whatever its case; None for the first of the usual names.

    Raises
    ------
    InputError : the file cannot be read, has no such column, or no row has an identifier.
    """
    table = read_table_columns(path, every_usual_name() if column is None else (column,))
    rows = named_rows(table, column)
    if rows is None:
        raise no_column_of_names(table, column)
    found = _list(table, rows)
    if not len(found):
        raise InputError(
            "No row of the table has an identifier.",
            where=f"{path}, column {found.column}",
            got=f"{table.rows:,} rows" + (f", such as {', '.join(found.examples)}" if found.examples else ""),
            allowed=" or ".join(("identifiers", "spectrum keys", *joint_names())),
            remedy="Name another column, or write identifiers as integers.",
            kind=ErrorKind.TARGET_LIST,
        )
    return found


def _list(table: Table, rows: NamedRows) -> TargetList:
    unknown = np.flatnonzero(~rows.known)
    shown = rows.texts() if len(unknown) else []
    examples = tuple(dict.fromkeys(shown[place][:40] for place in unknown[:100].tolist()))[:_SHOWN]
    return TargetList(
        path=table.path,
        column=rows.column,
        named_by=rows.named_by,
        values=_distinct(rows.stored[rows.known]),
        rows=table.rows,
        skipped=len(unknown),
        examples=examples,
    )


def _distinct(values: NDArray[Any]) -> NDArray[Any]:
    """Each value, or row, once, where it comes first."""
    _, first = np.unique(values, axis=0 if values.ndim == 2 else None, return_index=True)
    kept: NDArray[Any] = values[np.sort(first)]
    return kept


def no_column_of_names(table: Table, column: str | None) -> InputError:
    """What to raise of a table without a column of identifiers, or without the one that is named."""
    near = difflib.get_close_matches((column or "targetid").lower(), [name.lower() for name in table.names])
    meant = [name for name in table.names if name.lower() in near]
    return InputError(
        "The table has no column of identifiers."
        if column is None
        else "The table has no column of that name.",
        where=str(table.path),
        got=column or ", ".join(table.names[:20]),
        allowed=", ".join(table.names[:40]) if column else usual_names_for_people(),
        remedy=(f"Did you mean {' or '.join(meant)}? " if meant else "") + "Name the column.",
        kind=ErrorKind.TARGET_LIST,
    )
