"""Target list: spectra that a table names, by identifier, spectrum key or plate, MJD and fibre."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.files.tables.table import Column, Table, read_table_columns
from engine.query.conditions.condition import Condition, quoted
from engine.surveys.identifiers import UNKNOWN
from models.errors import ErrorKind, InputError

NamedBy = Literal["target_id", "key", "plate-mjd-fiber"]

_OF_TARGETS = ("targetid", "target_id", "specobjid", "spec_obj_id", "catalogid", "identifier")
_OF_KEYS = ("key", "spectrum_key", "plate-mjd-fiber", "plate_mjd_fiber")
_OF_FIBRES = (("plate", "field"), ("mjd",), ("fiber", "fiberid"))
USUAL_NAMES = (*_OF_TARGETS, *_OF_KEYS)
"""Names of columns that are looked for, in this order; then plate, mjd and fiber."""

_FIBRE = re.compile(r"([0-9]{1,9})-([0-9]{1,9})-([0-9]{1,9})", re.ASCII)
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
    wanted = (
        (column,) if column is not None else (*USUAL_NAMES, *(each for group in _OF_FIBRES for each in group))
    )
    table = read_table_columns(path, wanted)
    found = _named(table, column)
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


def _named(table: Table, column: str | None) -> TargetList:
    names = (column.lower(),) if column is not None else USUAL_NAMES
    for name in names:
        if name in table.columns:
            return _of_column(table, table.columns[name])
    of_fibres = [
        next((table.columns[name] for name in group if name in table.columns), None) for group in _OF_FIBRES
    ]
    fibres = [each for each in of_fibres if each is not None]
    if column is None and len(fibres) == len(_OF_FIBRES):
        return _of_fibres(table, fibres)
    raise _no_column(table, column)


def _of_column(table: Table, column: Column) -> TargetList:
    if column.values.dtype.kind != "O":
        return _of_integers(table, column)
    texts = column.texts()
    first = next((text for text in texts if text), "")
    if _FIBRE.fullmatch(first):
        return _of_fibre_texts(table, column, texts)
    if first.isdecimal() or (column.name.lower() in _OF_TARGETS and "/" not in first):
        return _of_integers(table, column)
    known = np.array([bool(text) for text in texts], dtype=np.bool_)
    keys = tuple(dict.fromkeys(text for text in texts if text))
    return _list(table, column.name, "key", known, texts, keys=keys)


def _of_integers(table: Table, column: Column) -> TargetList:
    numbers, known = column.integers()
    stored = numbers.view(np.int64)
    known = known & (stored != UNKNOWN) & (numbers != 0 if numbers.dtype.kind == "u" else True)
    shown = column.texts() if not known.all() else []
    return _list(table, column.name, "target_id", known, shown, target_ids=_distinct(stored[known]))


def _of_fibre_texts(table: Table, column: Column, texts: list[str]) -> TargetList:
    matches = [_FIBRE.fullmatch(text) for text in texts]
    known = np.array([match is not None for match in matches], dtype=np.bool_)
    parts = [[int(part) for part in match.groups()] for match in matches if match is not None]
    fibres = _distinct(np.array(parts, dtype=np.int64).reshape(-1, 3))
    return _list(table, column.name, "plate-mjd-fiber", known, texts, fibres=fibres)


def _of_fibres(table: Table, columns: list[Column]) -> TargetList:
    each = [column.integers() for column in columns]
    known = np.logical_and.reduce([known & (numbers >= 0) for numbers, known in each])
    fibres = np.stack([numbers.astype(np.int64)[known] for numbers, _ in each], axis=1)
    parts = zip(*(column.texts() for column in columns), strict=True)
    shown = ["-".join(texts) for texts in parts] if not known.all() else []
    name = ", ".join(column.name for column in columns)
    return _list(table, name, "plate-mjd-fiber", known, shown, fibres=_distinct(fibres))


def _list(
    table: Table,
    column: str,
    named_by: NamedBy,
    known: NDArray[np.bool_],
    shown: list[str],
    *,
    target_ids: NDArray[np.int64] | None = None,
    keys: tuple[str, ...] = (),
    fibres: NDArray[np.int64] | None = None,
) -> TargetList:
    """``shown`` are the rows' texts, needed where not all are ``known``."""
    unknown = np.flatnonzero(~known)
    examples = tuple(dict.fromkeys(shown[place][:40] for place in unknown[:100].tolist()))[:_SHOWN]
    return TargetList(
        path=table.path,
        column=column,
        named_by=named_by,
        target_ids=np.empty(0, np.int64) if target_ids is None else target_ids,
        keys=keys,
        fibres=np.empty((0, 3), np.int64) if fibres is None else fibres,
        rows=table.rows,
        skipped=len(unknown),
        examples=examples,
    )


def _distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each value, or row, once, where it comes first."""
    _, first = np.unique(values, axis=0, return_index=True)
    return values[np.sort(first)]


def _no_column(table: Table, column: str | None) -> InputError:
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
