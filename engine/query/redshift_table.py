"""Redshift table: redshifts, and classes, that a user gives to spectra by name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.files.tables.table import Column, Table, read_table_columns
from engine.query.named_rows import NamedRows, named_rows, names_of
from engine.spectra.rows import ROW_DTYPE
from engine.surveys.row_names import IDENTIFIER, Name, NamedBy, every_usual_name, shown_name
from models.digests import digest_of
from models.errors import ErrorKind, InputError

REDSHIFT_NAMES = ("redshift", "z", "z_best", "zbest")
CLASS_NAMES = ("spectype", "class", "spectral_class")
"""Names of columns that are looked for, in this order, whatever their case."""

LONGEST_CLASS = ROW_DTYPE["spectype"].itemsize // 4
"""Characters."""

_SMALLEST = -0.1  # of stars that come towards us; a smaller one is a code for "unknown"


@dataclass(frozen=True, eq=False)
class RedshiftTable:
    """Redshifts by name.

    Attributes
    ----------
    path : the table; named_by : what its names are.
    values : redshift and class (upper case, or empty text) by name.
    skipped : rows without a name or a redshift.
    """

    path: Path
    named_by: NamedBy
    values: Mapping[Name, tuple[float, str]]
    skipped: int

    def __len__(self) -> int:
        return len(self.values)

    @property
    def digest(self) -> str:
        """Hex digest of what it says, whatever its format and order."""
        lines = sorted(
            f"{name} {redshift!r} {spectype}" for name, (redshift, spectype) in self.values.items()
        )
        return digest_of("\n".join([self.named_by, *lines]).encode())


def read_redshift_table(path: Path) -> RedshiftTable:
    """The redshifts of a table: FITS, Parquet, VOTable, ECSV or CSV with columns of names and redshifts.

    Names are those of :mod:`engine.query.target_list`; a column of classes may be missing.

    Raises
    ------
    InputError : the table cannot be read, lacks a column, gives no redshift, or two to one spectrum.
    """
    table = read_table_columns(path, (*every_usual_name(), *REDSHIFT_NAMES, *CLASS_NAMES))
    rows = named_rows(table)
    if rows is None:
        raise _no_column(table, ", ".join(every_usual_name()))
    redshift = _column(table, REDSHIFT_NAMES)
    if redshift is None:
        raise _no_column(table, ", ".join(REDSHIFT_NAMES))
    spectype = _column(table, CLASS_NAMES)
    classes = [text.upper() for text in spectype.texts()] if spectype is not None else [""] * table.rows
    longest = max(classes, key=len, default="")
    if len(longest) > LONGEST_CLASS:
        raise InputError(
            "The table of redshifts has a class that is no name of one.",
            where=str(path),
            got=longest[:40],
            allowed=f"at most {LONGEST_CLASS} characters, such as GALAXY",
            remedy="Name the classes as the survey's pipeline does, or leave the column out.",
            kind=ErrorKind.TARGET_LIST,
        )
    values: dict[Name, tuple[float, str]] = {}
    given = 0
    for name, number, text in zip(_names(rows), redshift.numbers().tolist(), classes, strict=True):
        if name is None or not math.isfinite(number) or number < _SMALLEST:
            continue
        given += 1
        if values.setdefault(name, (number, text)) != (number, text):
            raise _contradicted(table, name, values[name], (number, text))
    if not values:
        raise InputError(
            "No row of the table gives a redshift.",
            where=f"{path}, column {redshift.name}",
            got=f"{table.rows:,} rows",
            allowed=f"a name and a number of {_SMALLEST} or more",
            remedy="Look whether names and redshifts are in the columns that are meant.",
            kind=ErrorKind.TARGET_LIST,
        )
    return RedshiftTable(path, rows.named_by, values, table.rows - given)


def _names(rows: NamedRows) -> Sequence[Name | None]:
    """What names the spectra of each row; None where nothing does."""
    known = rows.known & (rows.values > 0) if rows.named_by == IDENTIFIER else rows.known
    return [name if each else None for name, each in zip(names_of(rows.stored), known.tolist(), strict=True)]


def _column(table: Table, names: Sequence[str]) -> Column | None:
    return next((table.columns[name] for name in names if name in table.columns), None)


def _no_column(table: Table, allowed: str) -> InputError:
    return InputError(
        "The table of redshifts lacks a column.",
        where=str(table.path),
        got=", ".join(table.names[:20]),
        allowed=f"one of {allowed}",
        remedy="Name the columns so.",
        kind=ErrorKind.TARGET_LIST,
    )


def _contradicted(table: Table, name: Name, one: tuple[float, str], other: tuple[float, str]) -> InputError:
    return InputError(
        "The table gives one spectrum two redshifts or classes.",
        where=f"{table.path}, {shown_name(name)}",
        got=" and ".join(f"{redshift:g} {spectype}".strip() for redshift, spectype in (one, other)),
        allowed="one redshift and one class for each name",
        remedy="Take one of the rows out.",
        kind=ErrorKind.TARGET_LIST,
    )
