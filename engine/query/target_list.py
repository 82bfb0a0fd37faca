"""Target list: spectra that a table names, by identifier, spectrum key or plate, MJD and fibre."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.files.tables.table import Table, read_table_columns
from engine.query.conditions.condition import Condition, quoted
from engine.query.named_rows import EVERY_USUAL_NAME, USUAL_NAMES, NamedBy, NamedRows, named_rows
from models.errors import ErrorKind, InputError

_SHOWN = 3


@dataclass(frozen=True, eq=False)
class TargetList:
    """What a table asks for, each once, in the table's order.

    Attributes
    ----------
    path : the table; column : what it was read from.
    named_by : which of the three below is not empty.
    target_ids : (n,) int64, as the rows of a store hold them (:mod:`engine.surveys.identifiers`).
    keys : (n,) spectrum keys.
    fibres : (n, 3) int64 of plate (or field), MJD, fibre.
    rows : of the table; skipped : those without an identifier; examples : what some of these have instead.
    """

    path: Path
    column: str
    named_by: NamedBy
    target_ids: NDArray[np.int64]
    keys: tuple[str, ...]
    fibres: NDArray[np.int64]
    rows: int
    skipped: int
    examples: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.target_ids) + len(self.keys) + len(self.fibres)

    def __str__(self) -> str:
        """What was read, in one sentence or two."""
        rows = f"{self.path}: {self.rows:,} rows, {len(self):,} different values of {self.column}."
        if not self.skipped:
            return rows
        return f"{rows} {self.skipped:,} rows have none, such as {', '.join(map(repr, self.examples))}."

    def condition(self, target_id: str = "target_id") -> Condition:
        """All that the list names, by columns of identifiers, ``key``, or ``plate``, ``mjd`` and ``fiber``.

        ``target_id`` is the column of identifiers as stores hold them.
        """
        if self.named_by == "target_id":
            return _among({target_id: self.target_ids.tolist()}, "BIGINT")
        if self.named_by == "key":
            return _among({"key": list(self.keys)}, "VARCHAR")
        fibres = zip(("plate", "mjd", "fiber"), self.fibres.T.tolist(), strict=True)
        return _among(dict(fibres), "BIGINT")


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
    table = read_table_columns(path, EVERY_USUAL_NAME if column is None else (column,))
    rows = named_rows(table, column)
    if rows is None:
        raise no_column_of_names(table, column)
    found = _list(table, rows)
    if not len(found):
        raise InputError(
            "No row of the table has an identifier.",
            where=f"{path}, column {found.column}",
            got=f"{table.rows:,} rows" + (f", such as {', '.join(found.examples)}" if found.examples else ""),
            allowed="TARGETIDs or SPECOBJIDs, spectrum keys, or PLATE-MJD-FIBER",
            remedy="Name another column, or write identifiers as integers.",
            kind=ErrorKind.TARGET_LIST,
        )
    return found


def _list(table: Table, rows: NamedRows) -> TargetList:
    unknown = np.flatnonzero(~rows.known)
    shown = rows.texts() if len(unknown) else []
    examples = tuple(dict.fromkeys(shown[place][:40] for place in unknown[:100].tolist()))[:_SHOWN]
    values = rows.stored[rows.known]
    return TargetList(
        path=table.path,
        column=rows.column,
        named_by=rows.named_by,
        target_ids=_distinct(values) if rows.named_by == "target_id" else np.empty(0, np.int64),
        keys=tuple(dict.fromkeys(values.tolist())) if rows.named_by == "key" else (),
        fibres=_distinct(values) if rows.named_by == "plate-mjd-fiber" else np.empty((0, 3), np.int64),
        rows=table.rows,
        skipped=len(unknown),
        examples=examples,
    )


def _distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each value, or row, once, where it comes first."""
    _, first = np.unique(values, axis=0, return_index=True)
    return values[np.sort(first)]


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
        allowed=", ".join(table.names[:40]) if column else f"{', '.join(USUAL_NAMES)}; plate, mjd, fiber",
        remedy=(f"Did you mean {' or '.join(meant)}? " if meant else "") + "Name the column.",
        kind=ErrorKind.TARGET_LIST,
    )
